//! What must hold for every encoder learned from a catalogue.

use std::sync::LazyLock;

use proptest::prelude::*;
use sona_encoder::learn::{Error, Options, Targets, learn};
use sona_encoder::{Encoder, Options as EncoderOptions};
use sona_numeric::Matrix;

use crate::{cosine, films, learned, open, small};

/// One encoder for all tests that only read.
static FILMS: LazyLock<Encoder> = LazyLock::new(|| learned(&films(), &small()));

fn one(encoder: &Encoder, text: &str) -> Vec<f32> {
    encoder.encode(&[text]).expect("encoded").remove(0)
}

#[test]
fn the_same_texts_give_the_same_bytes_on_any_number_of_threads() {
    let texts = &films()[..300];
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| learn(texts, None, &small()).expect("learned"))
    };
    let first = on(1);
    assert!(first == on(4), "another file");
    let other = learn(texts, None, &Options { seed: 2, ..small() }).expect("learned");
    assert!(first.model != other.model, "the seed changes nothing");
}

#[test]
fn together_and_alone_are_the_same() {
    let mut texts: Vec<_> = films()[..70].to_vec();
    texts.extend([String::new(), "Drama".into(), "word ".repeat(400)]);
    let together = FILMS.encode(&texts).expect("encoded");
    for (text, together) in texts.iter().zip(&together) {
        let alone = one(&FILMS, text);
        for (a, b) in alone.iter().zip(together) {
            assert!((a - b).abs() < 1e-6, "{text}");
        }
    }
}

/// What is served is worked out from the table; whoever else opens the file runs its graph.
#[test]
fn a_runtime_for_any_graph_gives_the_same() {
    let learned = learn(&films(), None, &small()).expect("learned");
    let options = EncoderOptions::default();
    let by_graph = Encoder::from_bytes(learned.model.clone(), &learned.tokenizer, &options);
    let by_graph = by_graph.expect("it is an ONNX file as any other");
    let mut texts: Vec<_> = films()[..100].to_vec();
    texts.extend([String::new(), "千と千尋の神隠し".into(), "word ".repeat(400)]);
    let served = open(&learned).encode(&texts).expect("encoded");
    for ((a, b), text) in served.iter().zip(by_graph.encode(&texts).expect("encoded")).zip(&texts) {
        for (a, b) in a.iter().zip(b) {
            assert!((a - b).abs() < 1e-5, "{text}");
        }
    }
}

#[test]
fn callers_run_side_by_side() {
    let texts = &films()[..40];
    let expect = FILMS.encode(texts).expect("encoded");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert!(FILMS.encode(texts).expect("encoded") == expect));
        }
    });
}

proptest! {
    #[test]
    fn every_text_has_a_vector_of_length_one(text in ".{0,40}") {
        let vector = one(&FILMS, &text);
        prop_assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-5, "{:?}", text);
    }
}

#[test]
fn strange_texts_have_vectors_of_their_own() {
    let texts = [
        "",
        " ",
        "\0",
        "!!!",
        "千と千尋の神隠し",
        "天空の城ラピュタ",
        "Сталкер",
        "อภิชาติพงศ์",
        "🎬🍿",
        "zzyzx",
        "<pad>",
        "<unk> <s>",
        "the",
    ];
    let vectors = FILMS.encode(&texts).expect("encoded");
    for vector in &vectors {
        assert!((cosine(vector, vector) - 1.0).abs() < 1e-5);
    }
    // Texts in scripts the catalogue does not hold are neither one and the same nor like its films.
    let unseen = &vectors[4..9];
    for (at, vector) in unseen.iter().enumerate() {
        for other in &unseen[..at] {
            assert!(cosine(vector, other) < 0.9);
        }
    }
    for (text, same) in [("сталкер", "Сталкер"), ("Ｓｔａｒ Ｗａｒｓ", "star wars")]
    {
        let same = cosine(&one(&FILMS, text), &one(&FILMS, same));
        assert!(same > 0.9999, "case and width do not matter: {text} {same}");
    }
}

#[test]
fn a_text_longer_than_the_limit_is_cut_off() {
    let start = "Space opera with robots ".repeat(80);
    let long = format!("{start}{}", "and then a musical ".repeat(5000));
    let vector = one(&FILMS, &long);
    assert!(cosine(&vector, &one(&FILMS, &start)) > 0.999);
}

#[test]
fn rare_words_say_more_than_common_ones() {
    let query = one(&FILMS, "drama film with charlie chaplin");
    let chaplin = one(&FILMS, "The Gold Rush. Comedy, Adventure, Silent. Charlie Chaplin");
    let drama = one(&FILMS, "Margaret. Drama. Kenneth Lonergan");
    assert!(cosine(&query, &chaplin) > cosine(&query, &drama) + 0.1);
}

#[test]
fn a_word_never_seen_is_like_the_words_it_is_made_of() {
    let texts = films();
    assert!(!texts.iter().any(|text| text.to_lowercase().contains("romanticcomedies")));
    let made = one(&FILMS, "vampirefilm");
    let [near, far] = ["vampire", "western"].map(|word| cosine(&made, &one(&FILMS, word)));
    assert!(near > far + 0.2, "{near} {far}");
}

#[test]
fn targets_turn_the_space() {
    // Two kinds of titles whose words say nothing, but whose viewers do; the word "even" or "odd" is all they share.
    let word =
        |i: usize| format!("name{i} {} common", if i.is_multiple_of(2) { "even" } else { "odd" });
    let texts: Vec<_> = (0..120).map(word).collect();
    let audience = |i: usize| if i.is_multiple_of(2) { [1.0, 0.1] } else { [0.1, 1.0] };
    let vectors = Matrix::from_vec((0..120).flat_map(audience).collect(), 2);
    let targets = Targets { vectors: &vectors, evidence: &[50.0; 120] };
    let apart = |targets: Option<Targets<'_>>| {
        let learned = learn(&texts, targets, &small()).expect("learned");
        let encoder = open(&learned);
        let [a, b, c] =
            ["name1000 even", "name2000 even", "name3000 odd"].map(|text| one(&encoder, text));
        (cosine(&a, &b) - cosine(&a, &c), learned.report.engagement_explained)
    };
    let (plain, none) = apart(None);
    let (turned, explained) = apart(Some(targets));
    assert_eq!(none, None);
    assert!(explained.is_some_and(|share| share > 0.9), "{explained:?}");
    assert!(turned > plain + 0.1, "{turned} {plain}");
}

#[test]
fn targets_of_nobody_change_nothing() {
    let texts = &films()[..60];
    let vectors = Matrix::zeros(60, 8);
    let targets = Targets { vectors: &vectors, evidence: &[0.0; 60] };
    let with = learn(texts, Some(targets), &small()).expect("learned");
    let without = learn(texts, None, &small()).expect("learned");
    assert!(with.model == without.model && with.report.engagement_explained.is_none());
}

#[test]
fn tiny_catalogues_are_learned_too() {
    for texts in [&["Stalker"][..], &["Stalker", "Solaris"], &["Stalker", "Solaris", "Mirror"]] {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let encoder = learned(&texts, &Options::default());
        assert_eq!(encoder.width(), 512);
        let vectors = encoder.encode(&texts).expect("encoded");
        for (at, vector) in vectors.iter().enumerate() {
            assert!((cosine(vector, vector) - 1.0).abs() < 1e-5);
            assert!(vectors[..at].iter().all(|other| cosine(vector, other) < 0.9));
        }
    }
}

#[test]
fn a_catalogue_of_one_word_is_learned() {
    let texts = vec!["Untitled".to_owned(); 5];
    let vector = one(&learned(&texts, &small()), "Untitled");
    assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-5);
}

#[test]
fn what_cannot_be_learned_from_is_said() {
    let none: [&str; 0] = [];
    assert_eq!(learn(&none, None, &small()), Err(Error::NoText));
    assert_eq!(learn(&["", "  \n"], None, &small()), Err(Error::NoText));
    let vectors = Matrix::zeros(3, 2);
    let targets = Targets { vectors: &vectors, evidence: &[1.0; 2] };
    assert_eq!(learn(&["a", "b"], Some(targets), &small()), Err(Error::Targets));
    let options = Options { engagement_share: 1.5, ..small() };
    assert!(matches!(learn(&["a"], None, &options), Err(Error::Options(_))));
}
