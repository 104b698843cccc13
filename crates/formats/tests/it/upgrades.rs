//! Files of adapters and base layers of every format that ever landed (`tests/fixtures`): the same numbers, bit by bit.

use sona_formats::adapters::{BaseLayer, FORMAT, Learned, UserWeights};

fn numbers(count: usize, scale: f64) -> Vec<f64> {
    (0..count).map(|at| (at as f64 - 3.0) * scale).collect()
}

#[test]
fn an_adapter_of_format_1_learned_from_lists_is_read() {
    let bytes = include_bytes!("../fixtures/adapter-lists-format-1.safetensors");
    let expect = UserWeights {
        base_version: 3,
        rank: 2,
        outputs: 2,
        scale: 4.0,
        iterations: 57,
        learned: Learned::Lists {
            solution: numbers(4, 0.1),
            precision: numbers(10, 0.7),
            right: numbers(4, 1.0 / 3.0),
            gain: -0.3,
            unsolved: 3,
        },
    };
    check(bytes, &expect);
}

#[test]
fn an_adapter_of_format_1_learned_by_gradient_is_read() {
    let bytes = include_bytes!("../fixtures/adapter-gradient-format-1.safetensors");
    let rows = (0..6).map(|at| (at as f32 - 3.0) * 0.1).collect();
    let learned = Learned::Gradient { rows };
    let expect =
        UserWeights { base_version: 1, rank: 2, outputs: 3, scale: 2.0, iterations: 4, learned };
    check(bytes, &expect);
}

fn check(bytes: &[u8], expect: &UserWeights) {
    assert_eq!(UserWeights::decode(bytes).as_ref(), Ok(expect));
    assert_eq!(FORMAT, 1, "a new format: files of this one are read or refused with what to do");
    assert_eq!(expect.encode().as_deref(), Ok(bytes), "format 1 is written as it was");
}

#[test]
fn a_base_layer_of_format_1_is_read() {
    let bytes = include_bytes!("../fixtures/base-layer-format-1.safetensors");
    let expect = BaseLayer {
        layout: r#"["als","sequence","made around 1990"]"#.to_owned(),
        rank: 2,
        inputs: 3,
        users: 40,
        rows: (0..6).map(|at| (at as f32 - 2.0) / 7.0).collect(),
    };
    assert_eq!(BaseLayer::decode(bytes).as_ref(), Ok(&expect));
    assert_eq!(expect.encode().as_deref(), Ok(&bytes[..]), "format 1 is written as it was");
}

#[test]
fn what_a_later_version_wrote_is_refused_by_its_format() {
    let carried = include_bytes!("../fixtures/base-layer-format-1.safetensors");
    let (now, then) = (br#"\"format\":1"#, br#"\"format\":2"#);
    let at = carried.windows(now.len()).position(|window| window == now).expect("a format");
    let mut later = carried.to_vec();
    later[at..at + then.len()].copy_from_slice(then);
    let said = BaseLayer::decode(&later).expect_err("nobody knows what it holds");
    assert_eq!(said, "it is of format 2, read is 1");
}
