//! Files of every format that ever landed, made by `tests/fixtures/rankers.py`: read with the same numbers, or refused with the
//! reason.

use std::io::Read;

use flate2::read::GzDecoder;

use super::*;

/// A carried file.
fn carried(packed: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut bytes).expect("a whole file");
    bytes
}

fn read(bytes: &[u8]) -> Result<Ranker, String> {
    decode(bytes, &checksum(bytes))
}

#[test]
fn a_file_of_format_1_says_what_to_do() {
    let bytes = carried(include_bytes!("../../../tests/fixtures/ranker-format-1.safetensors.gz"));
    let said = read(&bytes).expect_err("its trees were grown on other titles");
    assert_eq!(said, "it is of format 1, this version reads 2 to 3; train the ranker again");
}

#[test]
fn a_file_of_format_2_has_its_numbers() {
    let bytes = carried(include_bytes!("../../../tests/fixtures/ranker-format-2.safetensors.gz"));
    let ranker = read(&bytes).expect("it is of today's format and features");
    // Beside its trees a share of the weights of all titles speaks.
    let beside = |at: usize| 0.75 * (at as f64 / 32.0 - 0.5);
    check(&ranker, beside);
    let again = encode(&ranker).expect("a file");
    check(&read(&again).expect("written now"), beside);
}

#[test]
fn a_file_of_format_3_has_its_numbers() {
    let bytes = carried(include_bytes!("../../../tests/fixtures/ranker-format-3.safetensors.gz"));
    let ranker = read(&bytes).expect("it is of today's format and features");
    let beside = |at: usize| at as f64 / 64.0 - 0.25;
    check(&ranker, beside);
    let again = encode(&ranker).expect("a file");
    check(&read(&again).expect("written now"), beside);
}

/// The numbers the script has written; `beside` the trees, as the format has it.
fn check(ranker: &Ranker, beside: fn(usize) -> f64) {
    assert_eq!(ranker.layout.genres(), ["Comedy", "Drama"]);
    assert_eq!(ranker.weights.len(), 40);
    let numbers = |of: fn(usize) -> f64, count: usize| (0..count).map(of).collect::<Vec<f64>>();
    assert_eq!(ranker.weights, numbers(|at| at as f64 / 32.0 - 0.5, 40));
    let options = ranker.layer.options();
    assert_eq!((options.forgetting, options.ridge), (0.9375, 2.0));
    let Parts { precision, right, solution, lessons } = ranker.layer.to_parts();
    assert_eq!(lessons, 12);
    assert_eq!(right, numbers(|at| ((at % 7) as f64 - 3.0) / 4.0, 200));
    assert_eq!(solution, numbers(|at| ((at % 5) as f64 - 2.0) / 16.0, 200));
    let diagonal =
        |at: usize| if at / 200 == at % 200 { 1.0 + (at / 200) as f64 / 8.0 } else { 0.0 };
    assert_eq!(precision, numbers(diagonal, 200 * 200));
    let trees = ranker.trees.as_ref().expect("it has trees");
    assert_eq!((&trees.weights, trees.share), (&numbers(beside, 40), 0.5));
    let expect = rank::Parts {
        width: 50,
        starts: vec![0, 3, 4],
        features: vec![1, 0, 0, 0],
        thresholds: vec![0.25, 0.0, 0.0, 0.0],
        children: vec![1, 0, 0, 0],
        missing_left: vec![1, 0, 0, 0],
        values: vec![0.0, -0.125, 0.375, 0.0625],
        covers: vec![10, 6, 4, 10],
    };
    assert_eq!(trees.model.to_parts(), expect);
}

#[test]
fn a_file_of_other_features_says_what_to_do() {
    let bytes = carried(include_bytes!("../../../tests/fixtures/ranker-format-2.safetensors.gz"));
    // As long as before: nothing else in the file moves.
    let (now, then) = (b"ln graph", b"ln geese");
    let at = bytes.windows(now.len()).position(|window| window == now).expect("a feature");
    let mut bytes = bytes;
    bytes[at..at + then.len()].copy_from_slice(then);
    let said = read(&bytes).expect_err("nobody knows what it weighs");
    assert_eq!(said, "its features are not those of this version; train the ranker again");
}
