//! Test pairs with the items to rank them among, as the files of He et al., *Neural Collaborative Filtering*
//! (2017), have them: a line a pair, `(user,item)` and the items, separated by tabs.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sona_engine::evaluate::Builder;

/// The file of negatives among these, if there is one.
pub(crate) fn among(files: &[PathBuf]) -> Option<PathBuf> {
    let is_one = |path: &&PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().contains("negative"))
    };
    files.iter().find(is_one).cloned()
}

/// Takes every line in.
pub(crate) fn read(path: &Path, builder: &mut Builder) -> anyhow::Result<()> {
    let file = sona_formats::open(path)?;
    for (number, line) in BufReader::new(file).lines().enumerate() {
        let line = line.with_context(|| path.display().to_string())?;
        if line.trim().is_empty() {
            continue;
        }
        let Some((user, item, negatives)) = parse(&line) else {
            bail!(
                "{}, line {}: expected (user,item) and the items to rank it among, separated by tabs",
                path.display(),
                number + 1
            );
        };
        builder.add_trial(user, item, negatives);
    }
    Ok(())
}

fn parse(line: &str) -> Option<(&str, &str, impl Iterator<Item = &str>)> {
    let mut cells = line.trim_end().split('\t');
    let pair = cells.next()?.trim().strip_prefix('(')?.strip_suffix(')')?;
    let (user, item) = pair.split_once(',')?;
    let mut negatives = cells.map(str::trim).filter(|cell| !cell.is_empty()).peekable();
    negatives.peek()?;
    Some((user.trim(), item.trim(), negatives))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_line() {
        let (user, item, negatives) = parse("(0,25)\t1064\t174 \n").expect("valid");
        assert_eq!((user, item), ("0", "25"));
        assert_eq!(negatives.collect::<Vec<_>>(), ["1064", "174"]);
        for bad in ["0,25\t1", "(0;25)\t1", "(0,25)", ""] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}
