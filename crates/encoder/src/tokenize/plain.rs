//! The tokens of a learned encoder's tokenizer for a text in ASCII, without what other texts need.
//!
//! Compatibility form does nothing to ASCII, so what is left of the tokenizer's steps is to lower the case, to cut at white
//! space and around punctuation, and to look words up. The tokenizer's own way keeps book of where each character came
//! from; here nobody asks. A test holds both together.

use tokenizers::{Model, Tokenizer};

use super::Tokens;
use crate::learn::vocabulary::{START, WORD_START};

/// What the tokenizer's `encode_fast` gives for `text`, which is ASCII.
pub(super) fn tokens(tokenizer: &Tokenizer, text: &str) -> tokenizers::Result<Tokens> {
    let limit = tokenizer.get_truncation().map_or(usize::MAX, |limit| limit.max_length);
    let mut reader = Reader { tokenizer, ids: vec![START as i32], word: WORD_START.into() };
    for character in text.chars() {
        if reader.ids.len() >= limit {
            break;
        }
        if character.is_whitespace() {
            reader.end_word()?;
        } else if character.is_ascii_punctuation() {
            reader.end_word()?;
            reader.word.push(character);
            reader.end_word()?;
        } else {
            reader.word.push(character.to_ascii_lowercase());
        }
    }
    reader.end_word()?;
    let mut ids = reader.ids;
    ids.truncate(limit);
    let types = vec![0; ids.len()];
    Ok(Tokens { ids, types })
}

struct Reader<'t> {
    tokenizer: &'t Tokenizer,
    ids: Vec<i32>,
    /// Its mark and the characters read so far.
    word: String,
}

impl Reader<'_> {
    /// Looks the word up and begins another.
    fn end_word(&mut self) -> tokenizers::Result<()> {
        if self.word.len() > WORD_START.len_utf8() {
            let model = self.tokenizer.get_model();
            if let Some(id) = model.token_to_id(&self.word) {
                // Two tokens cost more than any one.
                self.ids.push(id as i32);
            } else {
                let tokens = model.tokenize(&self.word)?;
                self.ids.extend(tokens.into_iter().map(|token| token.id as i32));
            }
            self.word.truncate(WORD_START.len_utf8());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::{Options, learn};
    use proptest::prelude::*;
    use std::sync::LazyLock;

    static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| {
        let texts = ["The Thing (1982): an alien thaws.", "It, or \"Them\"?", "a b c d 1 2 3"];
        let options = Options { width: 8, max_tokens: 12, ..Options::default() };
        let learned = learn(&texts, None, &options).expect("learned");
        Tokenizer::from_bytes(learned.tokenizer).expect("just written")
    });

    proptest! {
        #[test]
        fn agrees_with_the_tokenizers_own_way(text in "([\\x00-\\x7f]|thing|alien| |<s>){0,40}") {
            let expect = TOKENIZER.encode_fast(text.as_str(), true).expect("a text");
            prop_assert_eq!(tokens(&TOKENIZER, &text).expect("a text"), Tokens::from(expect));
        }
    }
}
