//! The tokens: whole words, pieces of words, characters and bytes, as a Unigram tokenizer (Kudo, *Subword Regularization*,
//! 2018) that splits a word into as few of them as it can.

use std::collections::HashMap;

use rayon::prelude::*;
use tokenizers::models::unigram::Unigram;
use tokenizers::normalizers::{Lowercase, NFKC, Sequence as Normalizers};
use tokenizers::pre_tokenizers::bert::BertPreTokenizer;
use tokenizers::pre_tokenizers::metaspace::{Metaspace, PrependScheme};
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{
    Model, NormalizedString, Normalizer, OffsetReferential, OffsetType, PreTokenizedString,
    PreTokenizer, Tokenizer, TruncationParams,
};

use super::{Error, Options};

/// Fills up a batch.
pub(super) const PAD: u32 = 0;

/// Opens every text, so that none is without a token.
pub(crate) const START: u32 = 1;

/// Stands for what the bytes cannot spell: nothing.
pub(super) const UNKNOWN: u32 = 2;

/// The first of the 256 bytes.
pub(super) const BYTES: u32 = 3;

/// They are not looked for in texts: what a text spells like this is read as a text.
const SPECIAL: [&str; BYTES as usize] = ["<pad>", "<s>", "<unk>"];

/// Opens every word.
pub(crate) const WORD_START: char = '▁';

/// Characters of a word, its start mark included, that is a token as a whole. A longer one is no word of a language that
/// puts spaces between words.
const LONGEST_WORD: usize = 32;

/// Characters of a piece.
const PIECE_LENGTHS: std::ops::RangeInclusive<usize> = 2..=6;

/// A piece of fewer words than this says nothing about them.
const PIECE_WORDS: usize = 3;

/// Characters of a word in which pieces are looked for.
const SEARCHED: usize = 64;

/// The tokens and the tokenizer made of them.
pub(super) struct Vocabulary {
    tokenizer: Tokenizer,
    /// Splits words as if they were unknown.
    splitter: Unigram,
    /// Where a token is by its name; those of the splitter have the same name.
    ids: HashMap<String, u32>,
    words: std::ops::Range<u32>,
}

/// A token, and what it costs to use it: 1 for a whole word, up to 2, so that the fewest tokens win.
type Priced = (String, f64);

/// Learns the tokens of `texts`.
pub(super) fn learn<T: AsRef<str> + Sync>(
    texts: &[T],
    options: &Options,
) -> Result<Vocabulary, Error> {
    let reader = Reader::new();
    let words = count_words(&reader, texts)?;
    let special = SPECIAL.iter().map(|name| ((*name).to_owned(), 2.0));
    let bytes = (0..=255_u8).map(|byte| (format!("<0x{byte:02X}>"), 2.0));
    let mut tokens: Vec<Priced> = special.chain(bytes).collect();
    tokens.extend(pieces(&words, options.pieces));
    let split = tokens.len();
    let known: std::collections::HashSet<String> =
        tokens.iter().map(|(name, _)| name.clone()).collect();
    let whole = words
        .iter()
        .map(|(word, _)| word)
        .filter(|word| word.chars().count() <= LONGEST_WORD && !known.contains(word.as_str()));
    tokens.extend(whole.take(options.words).map(|word| (word.clone(), 1.0)));
    let ids = tokens.iter().zip(0..).map(|((name, _), id)| (name.clone(), id)).collect();
    let words = split as u32..tokens.len() as u32;
    let splitter = unigram(&tokens[..split])?;
    let tokenizer = tokenizer(reader, unigram(&tokens)?, options)?;
    Ok(Vocabulary { tokenizer, splitter, ids, words })
}

impl Vocabulary {
    /// How many tokens there are.
    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// How many of them are whole words that are no piece.
    pub(super) fn words(&self) -> usize {
        self.words.len()
    }

    /// The `tokenizer.json`.
    pub(super) fn to_json(&self) -> Result<String, Error> {
        self.tokenizer.to_string(false).map_err(failed)
    }

    /// A text's tokens without the one that opens it.
    pub(super) fn tokens(&self, text: &str) -> Result<Vec<u32>, Error> {
        let encoding = self.tokenizer.encode_fast(text, true).map_err(failed)?;
        Ok(encoding.get_ids().iter().copied().filter(|id| *id != START).collect())
    }

    /// For each token that is a word: the pieces it would be split into if it were unknown.
    pub(super) fn pieces(&self) -> Result<HashMap<u32, Vec<u32>>, Error> {
        let words = self.ids.par_iter().filter(|(_, id)| self.words.contains(id));
        let split = |(word, id): (&String, &u32)| {
            let tokens = self.splitter.tokenize(word).map_err(failed)?;
            Ok((*id, tokens.into_iter().map(|token| token.id).collect()))
        };
        words.map(split).collect()
    }
}

/// Cleans a text and cuts it into words.
struct Reader {
    normalizer: Normalizers,
    pre_tokenizer: PreTokenizers,
}

impl Reader {
    fn new() -> Self {
        let metaspace = Metaspace::new(WORD_START, PrependScheme::Always, false);
        Self {
            normalizer: Normalizers::new(vec![NFKC.into(), Lowercase.into()]),
            pre_tokenizer: PreTokenizers::new(vec![BertPreTokenizer.into(), metaspace.into()]),
        }
    }

    /// The words of a text, each once, sorted.
    fn words(&self, text: &str) -> tokenizers::Result<Vec<String>> {
        let mut text = NormalizedString::from(text);
        self.normalizer.normalize(&mut text)?;
        let mut text = PreTokenizedString::from(text);
        self.pre_tokenizer.pre_tokenize(&mut text)?;
        let splits = text.get_splits(OffsetReferential::Normalized, OffsetType::Byte);
        let mut words: Vec<_> = splits.into_iter().map(|(word, ..)| word.to_owned()).collect();
        words.sort_unstable();
        words.dedup();
        Ok(words)
    }
}

/// All words with the number of texts that have them, the most frequent first, then by name.
fn count_words<T: AsRef<str> + Sync>(
    reader: &Reader,
    texts: &[T],
) -> Result<Vec<(String, usize)>, Error> {
    let each = texts.par_iter().map(|text| reader.words(text.as_ref()));
    let each: Vec<Vec<String>> = each.collect::<tokenizers::Result<_>>().map_err(failed)?;
    let mut counts: HashMap<String, usize> = HashMap::new();
    for word in each.into_iter().flatten() {
        *counts.entry(word).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    Ok(counts)
}

/// All characters, and the pieces that stand for most: by the characters they save over all texts.
fn pieces(words: &[(String, usize)], limit: usize) -> Vec<Priced> {
    let mut characters: Vec<char> = words.iter().flat_map(|(word, _)| word.chars()).collect();
    characters.sort_unstable();
    characters.dedup();
    // Of each piece: texts, and words.
    let mut found: HashMap<&str, (usize, usize)> = HashMap::new();
    for (word, texts) in words {
        let ends = word.char_indices().map(|(at, _)| at).skip(1).chain([word.len()]);
        let starts: Vec<usize> = std::iter::once(0).chain(ends).take(SEARCHED + 1).collect();
        for (first, start) in starts.iter().enumerate() {
            for length in PIECE_LENGTHS {
                let Some(end) = starts.get(first + length) else { break };
                let count = found.entry(&word[*start..*end]).or_default();
                *count = (count.0 + texts, count.1 + 1);
            }
        }
    }
    let saved = |piece: &str, texts: usize| texts * (piece.chars().count() - 1);
    let mut found: Vec<(&str, usize)> = found
        .into_iter()
        .filter(|(_, (_, words))| *words >= PIECE_WORDS)
        .map(|(piece, (texts, _))| (piece, saved(piece, texts)))
        .collect();
    found.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(b.0)));
    found.truncate(limit);
    let most = (found.first().map_or(1, |(_, saved)| *saved) as f64).ln().max(1.0);
    let price = |saved: usize| 1.1 + 0.8 * (1.0 - (saved as f64).ln() / most);
    let characters = characters.into_iter().map(|character| (character.to_string(), 1.95));
    let pieces = found.into_iter().map(|(piece, saved)| (piece.to_owned(), price(saved)));
    characters.chain(pieces).collect()
}

fn unigram(tokens: &[Priced]) -> Result<Unigram, Error> {
    let scored = tokens.iter().map(|(name, price)| (name.clone(), -price)).collect();
    Unigram::from(scored, Some(UNKNOWN as usize), true).map_err(failed)
}

fn tokenizer(reader: Reader, model: Unigram, options: &Options) -> Result<Tokenizer, Error> {
    let start = SPECIAL[START as usize];
    let template = TemplateProcessing::builder()
        .try_single(format!("{start} $A"))
        .and_then(|builder| {
            builder.special_tokens(vec![(start, START)]).build().map_err(|e| e.to_string())
        })
        .map_err(Error::Tokenizer)?;
    let limit = TruncationParams { max_length: options.max_tokens, ..TruncationParams::default() };
    let mut tokenizer = Tokenizer::new(model);
    tokenizer.with_normalizer(Some(reader.normalizer)).map_err(failed)?;
    tokenizer.with_pre_tokenizer(Some(reader.pre_tokenizer));
    tokenizer.with_post_processor(Some(template));
    tokenizer.with_truncation(Some(limit)).map_err(failed)?;
    Ok(tokenizer)
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` hands it over")]
fn failed(error: tokenizers::Error) -> Error {
    Error::Tokenizer(error.to_string())
}
