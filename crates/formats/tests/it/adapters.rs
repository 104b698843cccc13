//! Adapters as bytes.

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use sona_formats::adapters::{BaseLayer, FORMAT, Learned, UserWeights};

/// Any finite number, down to the last bit.
fn finite64() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits).prop_filter("finite", |value| value.is_finite())
}

fn finite32() -> impl Strategy<Value = f32> {
    any::<u32>().prop_map(f32::from_bits).prop_filter("finite", |value| value.is_finite())
}

fn lists(n: usize) -> impl Strategy<Value = Learned> {
    let triangle = n * (n + 1) / 2;
    (vec(finite64(), n), vec(finite64(), triangle), vec(finite64(), n), finite64(), any::<u32>())
        .prop_map(|(solution, precision, right, gain, unsolved)| Learned::Lists {
            solution,
            precision,
            right,
            gain,
            unsolved,
        })
}

fn weights() -> impl Strategy<Value = UserWeights> {
    let shape = (1..9_usize, 1..4_usize);
    shape.prop_flat_map(|(rank, outputs)| {
        let n = rank * outputs;
        let gradient = vec(finite32(), n).prop_map(|rows| Learned::Gradient { rows });
        let scale = finite32().prop_filter("above 0", |scale| *scale > 0.0);
        (1..i64::MAX, scale, any::<u64>(), prop_oneof![lists(n), gradient]).prop_map(
            move |(base_version, scale, iterations, learned)| UserWeights {
                base_version,
                rank,
                outputs,
                scale,
                iterations,
                learned,
            },
        )
    })
}

fn bits(weights: &UserWeights) -> Vec<u64> {
    match &weights.learned {
        Learned::Lists { solution, precision, right, gain, .. } => {
            let all = solution.iter().chain(precision).chain(right).chain([gain]);
            all.map(|value| value.to_bits()).collect()
        }
        Learned::Gradient { rows } => rows.iter().map(|value| u64::from(value.to_bits())).collect(),
    }
}

/// Rank 8 over 1 and the gap: what is usual.
fn usual() -> UserWeights {
    let numbers = |n: usize| (0..n).map(|at| (at as f64 + 0.5).sin()).collect();
    UserWeights {
        base_version: 3,
        rank: 8,
        outputs: 2,
        scale: 4.0,
        iterations: 57,
        learned: Learned::Lists {
            solution: numbers(16),
            precision: numbers(136),
            right: numbers(16),
            gain: -0.25,
            unsolved: 3,
        },
    }
}

fn base() -> BaseLayer {
    BaseLayer {
        layout: "als, sequence".to_owned(),
        rank: 8,
        inputs: 512,
        users: 40,
        rows: (0..8 * 512).map(|at| (at as f32).cos()).collect(),
    }
}

fn refusal(bytes: &[u8]) -> String {
    UserWeights::decode(bytes).expect_err("refused")
}

proptest! {
    #[test]
    fn weights_are_read_back_bit_by_bit(weights in weights()) {
        let bytes = weights.encode().expect("sound");
        let read = UserWeights::decode(&bytes).expect("whole");
        prop_assert_eq!(bits(&read), bits(&weights));
        prop_assert_eq!(read.scale.to_bits(), weights.scale.to_bits());
        prop_assert_eq!(read.encode(), Ok(bytes));
        prop_assert_eq!(read, weights);
    }

    #[test]
    fn a_base_layer_is_read_back_bit_by_bit(
        rows in (1..9_usize, 1..40_usize).prop_flat_map(|(rank, inputs)| {
            (Just(rank), Just(inputs), vec(finite32(), rank * inputs))
        }),
        layout: String,
        users: u64,
    ) {
        let (rank, inputs, rows) = rows;
        let base = BaseLayer { layout, rank, inputs, users, rows };
        let bytes = base.encode().expect("sound");
        let read = BaseLayer::decode(&bytes).expect("whole");
        prop_assert!(read.rows.iter().zip(&base.rows).all(|(a, b)| a.to_bits() == b.to_bits()));
        prop_assert_eq!(read.encode(), Ok(bytes));
        prop_assert_eq!(read, base);
    }

    #[test]
    fn a_file_that_was_altered_is_refused(place in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let whole = usual().encode().expect("sound");
        let mut bytes = whole.clone();
        let place = place.index(bytes.len());
        bytes[place] ^= 1 << bit;
        // Blanks that fill the header up say nothing.
        if whole[place] == b' ' {
            prop_assert!(UserWeights::decode(&bytes).is_ok_and(|read| read == usual())
                || UserWeights::decode(&bytes).is_err());
        } else {
            prop_assert!(UserWeights::decode(&bytes).is_err(), "bit {bit} of byte {place}");
        }
    }

    #[test]
    fn arbitrary_bytes_are_refused(bytes in vec(any::<u8>(), 0..200)) {
        prop_assert!(UserWeights::decode(&bytes).is_err());
        prop_assert!(BaseLayer::decode(&bytes).is_err());
    }
}

#[test]
fn a_file_that_is_cut_off_or_goes_on_is_refused() {
    let bytes = usual().encode().expect("sound");
    for length in 0..bytes.len() {
        assert!(UserWeights::decode(&bytes[..length]).is_err(), "{length} bytes");
    }
    assert!(UserWeights::decode(&[&bytes[..], &[0]].concat()).is_err());
}

#[test]
fn the_largest_shapes_have_their_sizes() {
    let gradient = UserWeights {
        outputs: 768,
        learned: Learned::Gradient { rows: vec![0.25; 768 * 8] },
        ..usual()
    };
    let bytes = gradient.encode().expect("sound");
    assert_eq!(UserWeights::decode(&bytes), Ok(gradient));
    assert!((24_576..25_200).contains(&bytes.len()), "{} bytes", bytes.len());
    let bytes = base().encode().expect("sound");
    assert_eq!(BaseLayer::decode(&bytes), Ok(base()));
    assert!((16_384..17_000).contains(&bytes.len()), "{} bytes", bytes.len());
    let bytes = usual().encode().expect("sound");
    assert!((1_352..2_100).contains(&bytes.len()), "{} bytes", bytes.len());
}

#[test]
fn one_kind_is_not_taken_for_the_other() {
    let (user, base) = (usual().encode().expect("sound"), base().encode().expect("sound"));
    assert_eq!(refusal(&base), "it holds \"base\", expected was \"adapter\"");
    assert_eq!(
        BaseLayer::decode(&user),
        Err("it holds \"adapter\", expected was \"base\"".to_owned())
    );
}

#[test]
fn what_could_not_be_read_back_is_not_written() {
    let check = |spoil: &dyn Fn(&mut UserWeights), expect: &str| {
        let mut weights = usual();
        spoil(&mut weights);
        assert_eq!(weights.encode(), Err(expect.to_owned()));
    };
    check(&|weights| weights.rank = 0, "the rank is 0, expected 1 to 64");
    check(&|weights| weights.outputs = 769, "d_out is 769, expected 1 to 768");
    check(&|weights| weights.outputs = 65, "with statistics B has at most 512 numbers, not 520");
    check(&|weights| weights.outputs = 3, "B has 16 numbers, expected were 24");
    check(&|weights| weights.base_version = 0, "there is no base layer 0");
    check(&|weights| weights.scale = f32::NAN, "the scale NaN is not above 0");
    check(&|weights| weights.scale = -1.0, "the scale -1 is not above 0");
    let spoil_gain = |weights: &mut UserWeights| {
        if let Learned::Lists { gain, .. } = &mut weights.learned {
            *gain = f64::NAN;
        }
    };
    check(&spoil_gain, "value 1 of gain is not finite");
    check(
        &|weights| weights.learned = Learned::Gradient { rows: vec![f32::INFINITY; 16] },
        "value 1 of B is not finite",
    );
    let short = BaseLayer { rows: vec![0.0; 7], ..base() };
    assert_eq!(short.encode(), Err("A has 7 numbers, expected were 4096".to_owned()));
    let wide = BaseLayer { inputs: 513, ..base() };
    assert_eq!(wide.encode(), Err("d_in is 513, expected 1 to 512".to_owned()));
    let wild = BaseLayer { rows: vec![f32::NAN; 8 * 512], ..base() };
    assert_eq!(wild.encode(), Err("value 1 of A is not finite".to_owned()));
}

/// A file as another program might write it, checksum or none.
fn foreign(header: Option<String>, values: &[f32], shape: Vec<usize>) -> Vec<u8> {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let view = TensorView::new(Dtype::F32, shape, &data).expect("of the shape");
    let metadata = header.map(|header| HashMap::from([("sona".to_owned(), header)]));
    safetensors::serialize([("B", view)], metadata).expect("written")
}

#[test]
fn files_of_others_are_refused_with_the_reason() {
    let check = |header: Option<&str>, expect: &str| {
        let bytes = foreign(header.map(str::to_owned), &[0.0; 2], vec![2, 1]);
        let found = refusal(&bytes);
        assert!(found.starts_with(expect), "{found}");
    };
    check(None, "its metadata has no key sona");
    check(Some("{"), "its header cannot be read");
    check(
        Some(r#"{"format":2,"kind":"adapter","about":{"new":1}}"#),
        "it is of format 2, read is 1",
    );
    check(Some(r#"{"format":1,"kind":"other","about":{}}"#), "it holds \"other\"");
    check(Some(r#"{"format":1,"kind":"adapter","about":{}}"#), "its header cannot be read");
    let about = r#"{"base_version":1,"rank":1,"outputs":2,"scale":1.0,"iterations":1,"trainer":"gradient","unsolved":0}"#;
    let signed = format!(r#"{{"format":{FORMAT},"kind":"adapter","sha256":"00","about":{about}}}"#);
    check(Some(&signed), "its checksum is ");
}

/// Files whose checksum is right, of which something else is wrong: the digest the reader found is put in.
#[test]
fn wrong_shapes_and_numbers_are_refused_though_the_checksum_is_right() {
    let check = |about: &str, values: &[f32], shape: &[usize], expect: &str| {
        let signed = |sha256: &str| {
            let header = format!(
                r#"{{"format":{FORMAT},"kind":"adapter","sha256":"{sha256}","about":{about}}}"#
            );
            foreign(Some(header), values, shape.to_vec())
        };
        let found = refusal(&signed("00"));
        let digest = found.strip_prefix("its checksum is ").and_then(|rest| rest.get(..64));
        let bytes = signed(digest.expect("a digest"));
        assert!(SafeTensors::deserialize(&bytes).is_ok());
        let found = refusal(&bytes);
        assert!(found.starts_with(expect), "{found}");
    };
    let about = |base_version: i64, rank: usize, outputs: usize, trainer: &str| {
        format!(
            r#"{{"base_version":{base_version},"rank":{rank},"outputs":{outputs},"scale":1.0,"iterations":1,"trainer":"{trainer}","unsolved":0}}"#
        )
    };
    let gradient = about(1, 1, 2, "gradient");
    check(&gradient, &[0.0, f32::NAN], &[2, 1], "value 2 of B is not finite");
    check(&gradient, &[0.0; 2], &[1, 2], "B is F32 [1, 2], expected was F32 [2, 1]");
    check(&gradient, &[0.0; 4], &[2, 2], "B is F32 [2, 2], expected was F32 [2, 1]");
    check(&about(1, 0, 2, "gradient"), &[0.0; 2], &[2, 1], "the rank is 0");
    check(&about(1, 1, 10_000, "gradient"), &[0.0; 2], &[2, 1], "d_out is 10000");
    check(&about(0, 1, 2, "gradient"), &[0.0; 2], &[2, 1], "there is no base layer 0");
    check(&about(1, 1, 2, "lists"), &[0.0; 2], &[2, 1], "it has 1 tensors, expected were 4");
}
