//! The configuration through its one reader.

use sona_server::identity::Algorithm;

use super::*;

const EXAMPLE: &str = include_str!("../../../../sona.example.toml");

fn read(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
    let variables = variables.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
    Config::read("sona.toml", text, variables).map_err(|error| error.to_string())
}

#[test]
fn the_example_is_the_defaults_and_names_every_key() {
    assert_eq!(read(EXAMPLE, &[]), Ok(Config::default()));
    let shown: toml::Table = EXAMPLE.parse().expect("valid TOML");
    for key in keys::known().iter().filter(|key| !key.starts_with("events")) {
        let (section, name) = key.split_once('.').unwrap_or((key, ""));
        let table = shown.get(section).unwrap_or_else(|| panic!("[{section}] is not shown"));
        assert!(name.is_empty() || table.get(name).is_some(), "{key} is not shown");
    }
}

#[test]
fn unknown_keys_name_their_line_and_the_nearest_key() {
    let error = read("[server]\nport = 1\n\n[als]\nfactor = 3\nport = 4\n", &[]).unwrap_err();
    assert_eq!(
        error,
        "sona.toml:5: unknown key \"als.factor\"; did you mean \"als.factors\"?\n\
         sona.toml:6: unknown key \"als.port\"; did you mean \"server.port\"?"
    );
}

#[test]
fn a_wrong_type_shows_the_line() {
    let error = read("[server]\nport = \"high\"\n", &[]).unwrap_err();
    assert!(error.contains("line 2"), "{error}");
}

#[test]
fn the_environment_overrides_the_file() {
    let config = read("[server]\nport = 1\n", &[("SONA_SERVER_PORT", "2"), ("PATH", "x")]);
    assert_eq!(config.expect("valid").server.port, 2);
    let error = read("", &[("SONA_SERVER_PROT", "2")]).unwrap_err();
    assert!(error.contains("did you mean \"SONA_SERVER_PORT\"?"), "{error}");
    let error = read("", &[("SONA_ALS_FACTORS", "many")]).unwrap_err();
    assert!(error.contains("als.factors"), "{error}");
}

#[test]
fn a_variable_of_the_wrong_kind_is_named() {
    let error = read("", &[("SONA_LIVE_QUEUE", "-1")]).expect_err("there is no such queue");
    assert!(error.contains("live.queue") && error.contains("-1"), "{error}");
}

#[test]
fn a_list_comes_from_the_environment_with_commas() {
    let config = read("", &[("SONA_IDENTITY_ALGORITHMS", "EdDSA, HS256")]).expect("valid");
    assert_eq!(config.identity.algorithms, [Algorithm::EdDSA, Algorithm::HS256]);
    let error = read("", &[("SONA_IDENTITY_ALGORITHMS", "none")]).unwrap_err();
    assert!(error.contains("`none`") && error.contains("`EdDSA`"), "{error}");
}

#[test]
fn identity_must_not_contradict_itself() {
    let error = read("[identity]\nsecret = \"short\"\n", &[]).unwrap_err();
    assert!(error.contains("identity.secret has 5 bytes") && !error.contains("short"), "{error}");
}

#[test]
fn ranges_are_checked_all_at_once() {
    let error = read("[als]\nfactors = 0\n[training]\nrejection_margin = 2.0\n", &[]).unwrap_err();
    assert_eq!(
        error,
        "als.factors must be 1 to 1024, not 0; training.rejection_margin must be 0 to 1, not 2"
    );
}

#[test]
fn an_encoder_is_two_files() {
    let error = read("[encoder]\nmodel = \"minilm.onnx\"\n", &[]).unwrap_err();
    assert!(error.contains("encoder.model and encoder.tokenizer belong together"), "{error}");
    let both = [("SONA_ENCODER_MODEL", "m.onnx"), ("SONA_ENCODER_TOKENIZER", "tokenizer.json")];
    assert_eq!(read("", &both).expect("valid").encoder.model, "m.onnx");
}

#[test]
fn event_types_can_be_added() {
    let text = "[events.types.purchase]\nweight = 1.0\neffect = \"seen\"\n";
    let options = read(text, &[]).expect("valid").engine_options().expect("valid");
    assert!(options.events.get("purchase").is_some());
    assert!(read("[events.types.Purchase]\nweight = 1.0\neffect = \"seen\"\n", &[]).is_err());
    assert!(read("[events.types.buy]\nweight = 3.0\neffect = \"seen\"\n", &[]).is_err());
}
