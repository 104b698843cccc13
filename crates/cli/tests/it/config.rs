//! A configuration that is wrong is refused before anything is opened, with exit code 2 and what would be right.

use crate::process::{Folder, Ran};

/// Runs `sona doctor` with `text` as `sona.toml`.
fn with_file(text: &str) -> Ran {
    let folder = Folder::new();
    fs_err::write(folder.path().join("sona.toml"), text).expect("written");
    refused(&folder, &[], &["doctor"])
}

/// Runs a command that must be refused as misconfigured and must leave nothing behind.
fn refused(folder: &Folder, variables: &[(&str, &str)], arguments: &[&str]) -> Ran {
    let ran = folder.sona_with(variables, arguments).expect(2);
    assert_eq!(ran.stdout, "");
    assert!(!folder.path().join("sona-data").exists(), "data was made in spite of the error");
    ran
}

#[test]
fn an_unknown_key_names_its_line_and_the_nearest_key() {
    let ran = with_file("[server]\nport = 9000\n\n[als]\nfactor = 32\n");
    assert_eq!(
        ran.stderr,
        "error: sona.toml:5: unknown key \"als.factor\"; did you mean \"als.factors\"?\n"
    );
}

#[test]
fn broken_toml_shows_the_line() {
    let ran = with_file("[server]\nport = \n");
    assert!(ran.stderr.contains("sona.toml") && ran.stderr.contains("line 2"), "{ran:?}");
}

#[test]
fn a_value_out_of_its_range_is_named_with_the_range() {
    let ran = with_file("[als]\nfactors = 0\n");
    assert!(ran.stderr.contains("als.factors must be 1 to 1024, not 0"), "{ran:?}");
}

#[test]
fn the_environment_is_checked_like_the_file() {
    let folder = Folder::new();
    for (name, value, says) in [
        ("SONA_SERVER_PROT", "1", "did you mean \"SONA_SERVER_PORT\"?"),
        ("SONA_SERVER_PORT", "high", "\"high\" is no value for server.port"),
        ("SONA_SERVER_PORT", "70000", "70000"),
        ("SONA_TRAINING_REJECTION_MARGIN", "2", "training.rejection_margin must be 0 to 1, not 2"),
    ] {
        let ran = refused(&folder, &[(name, value)], &["doctor"]);
        assert!(ran.stderr.contains(says), "{name}={value}: {ran:?}");
    }
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let folder = Folder::new();
    for (variables, arguments) in [
        (&[][..], &["--config", "missing.toml", "doctor"][..]),
        (&[("SONA_CONFIG", "missing.toml")][..], &["doctor"][..]),
    ] {
        let ran = refused(&folder, variables, arguments);
        assert!(ran.stderr.contains("missing.toml"), "{ran:?}");
    }
}

#[test]
fn a_named_file_is_read() {
    let folder = Folder::new();
    fs_err::write(folder.path().join("mine.toml"), "[als]\nfactors = 0\n").expect("written");
    let ran = refused(&folder, &[], &["--config", "mine.toml", "doctor"]);
    assert!(ran.stderr.contains("als.factors"), "{ran:?}");
}

#[test]
fn an_address_others_can_reach_is_refused_with_the_reason() {
    let folder = Folder::new();
    let by_flag = folder.sona(&["serve", "--host", "0.0.0.0", "--port", "0"]);
    let by_variable = folder.sona_with(&[("SONA_SERVER_HOST", "0.0.0.0")], &["serve"]);
    for ran in [by_flag, by_variable] {
        let ran = ran.expect(1);
        assert!(ran.stderr.contains("refusing to answer on \"0.0.0.0\""), "{ran:?}");
        assert!(ran.stderr.contains("no identity is configured"), "{ran:?}");
    }
    assert!(!folder.path().join("sona-data").exists(), "data was made in spite of the error");
}

#[test]
fn a_wrong_command_line_is_refused() {
    let folder = Folder::new();
    for arguments in [
        &[][..],
        &["dance"],
        &["serve", "--port", "70000"],
        &["recommend"],
        &["recommend", "42", "--limit", "0"],
        &["recommend", "42", "--limit", "101"],
        &["recommend", "42", "--device", "toaster"],
        &["recommend", ""],
        &["similar", "1", "--limit", "101"],
    ] {
        let ran = refused(&folder, &[], arguments);
        assert!(ran.stderr.contains("Usage") || ran.stderr.contains("error:"), "{ran:?}");
    }
}
