//! Every layout is known by its files, and read as what it is.

use sona_domain::RoleType;
use sona_formats::{Contents, Dataset, Row, Split};

use crate::{folder, gzip, look, read, sketch};

/// Each file of a data set as `contents split`, then its rows.
fn outline(dataset: &Dataset) -> Vec<String> {
    let mut lines = vec![dataset.layout.to_owned()];
    for source in &dataset.sources {
        let rows: Vec<_> = source.rows().expect("readable").collect();
        let split = source.split.map(|split| format!(" {split:?}")).unwrap_or_default();
        lines.push(format!("{:?}{split}: {}", source.contents, sketch(&rows).join(", ")));
    }
    lines
}

fn check(files: &[(&str, &[u8])], expect: &[&str]) -> (Dataset, tempfile::TempDir) {
    let folder = folder(files);
    let dataset = look(folder.path());
    assert_eq!(outline(&dataset), expect);
    (dataset, folder)
}

#[test]
fn movielens_csv_compressed_whatever_the_names_say() {
    let zstd = zstd::encode_all(&b"movieId,title,genres\n1,Heat (1995),Crime|Drama\n"[..], 1);
    let (dataset, _folder) = check(
        &[
            ("README.txt", b"about"),
            ("links.csv", b"movieId,imdbId,tmdbId\n1,2,3\n"),
            ("movies.csv", &zstd.expect("in memory")),
            ("ratings.csv.gz", &gzip(b"userId,movieId,rating,timestamp\n7,1,4.5,10\n7,2,0.5,11\n")),
            ("tags.csv", b"userId,movieId,tag,timestamp\n7,1,fun,10\n"),
        ],
        &[
            "MovieLens (CSV)",
            "Content: 1 Heat",
            "Events: 7 1 4.5 1970-01-01T00:00:10Z, 7 2 0.5 1970-01-01T00:00:11Z",
        ],
    );
    assert_eq!(dataset.ignored.len(), 2);
    let events = dataset.events(None).next().expect("a file");
    let stars = [0.5, 1.5, 3.5, 5.0].map(|value| events.stars(value).expect("on the scale"));
    assert_eq!(stars, [1.0, 2.0, 4.0, 5.0]);
    assert!(events.stars(5.5).expect_err("above").contains("--scale"));
}

#[test]
fn movielens_dat_with_titles_in_latin_1() {
    check(
        &[
            ("movies.dat", b"1::Am\xe9lie: The One (2001)::Comedy\n2::Solo::Drama\n"),
            ("ratings.dat", b"1::1::5::978300760\n1::2::3::978302109\n"),
            ("users.dat", b"1::F::1::10::48067\n"),
        ],
        &[
            "MovieLens (ratings.dat)",
            "Content: 1 Amélie: The One, 2 Solo",
            "Events: 1 1 5 2000-12-31T22:12:40Z, 1 2 3 2000-12-31T22:35:09Z",
        ],
    );
}

#[test]
fn the_demos_films() {
    let film = br#"{"id": "a", "title": "A", "year": 1999, "genres": ["Drama"], "directors": ["D"], "cast": ["X", "Y"], "keywords": ["k"], "wikipedia": "A"}"#;
    let (dataset, _folder) = check(
        &[
            ("items.jsonl", film),
            ("items.csv", b"id,title\na,A\n"),
            (
                "cold_items.csv",
                b"id,title,year,genres,directors,cast,keywords\nb,B,2000,Drama|War,,,\n",
            ),
            ("events.csv", b"user,item,rating,timestamp\n1,a,9,1362062838\n"),
        ],
        &[
            "films with facts (the demo's)",
            "Content: a A",
            "Content: b B",
            "Events: 1 a 9 2013-02-28T14:47:18Z",
        ],
    );
    let film = dataset.sources[0].rows().expect("readable").next();
    let Some(Ok(Row::Content(film))) = film else { panic!("{film:?}") };
    assert_eq!(film.people(RoleType::Actor).collect::<Vec<_>>(), ["X", "Y"]);
    assert_eq!((&film.genres[0], &film.themes[0]), (&"Drama".to_owned(), &"k".to_owned()));
    assert_eq!(dataset.sources[2].stars(9.0), Ok(5.0), "4.5 is rounded away from zero");
}

#[test]
fn recbole_atomic_files() {
    check(
        &[
            ("ml.inter", b"user_id:token\titem_id:token\trating:float\ttimestamp:float\n1\t2\t3\t881250949\n"),
            ("ml.item", b"item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n2\tGoldenEye\t1995\tAction\n"),
            ("ml.user", b"user_id:token\tage:token\n1\t24\n"),
        ],
        &["RecBole atomic files", "Content: 2 GoldenEye", "Events: 1 2 3 1997-12-04T15:55:49Z"],
    );
}

#[test]
fn train_and_test_are_told_apart() {
    let (dataset, _folder) = check(
        &[
            ("item_list.txt", b"org_id remap_id\n"),
            ("test.txt", b"0 9\n"),
            ("train.txt", b"0 1 2\n1\n2 3 \n"),
        ],
        &["LightGCN (train.txt, test.txt)", "Events Train: 0 1, 0 2, 2 3", "Events Test: 0 9"],
    );
    assert_eq!(dataset.events(Some(Split::Train)).count(), 1);
    assert_eq!(dataset.events(None).count(), 0);
    check(
        &[
            ("ml.test.negative", b"(0,25)\t1064\n"),
            ("ml.test.rating", b"0\t25\t5\t978824351\n"),
            ("ml.train.rating", b"0\t32\t4\t978824330\n"),
        ],
        &[
            "train and test ratings",
            "Events Train: 0 32 4 2001-01-06T23:38:50Z",
            "Events Test: 0 25 5 2001-01-06T23:39:11Z",
        ],
    );
}

#[test]
fn sequences_with_item_attributes() {
    let (dataset, _folder) = check(
        &[
            ("Toys_and_Games.txt", b"1 5 6 5\r\n2 7\r\n"),
            ("Toys_and_Games_item2attributes.json", b"{\"5\": [1, 2],\n \"6\": []}"),
        ],
        &[
            "sequences with item attributes",
            "Attributes: 5 [1, 2], 6 []",
            "Events: 1 5, 1 6, 1 5, 2 7",
        ],
    );
    assert_eq!(dataset.catalogue().map(|s| s.contents).collect::<Vec<_>>(), [Contents::Attributes]);
}

#[test]
fn single_files_and_any_other_folder() {
    let options = sona_formats::Options::default();
    let rows = |name, bytes: &[u8]| sketch(&read(name, bytes, &options)).join(", ");
    assert_eq!(rows("train.csv", b"user,item\n0,1\n"), "0 1");
    assert_eq!(rows("u.data", b"196\t242\t3\t881250949\n"), "196 242 3 1997-12-04T15:55:49Z");
    assert_eq!(rows("x", b"1,2,881250949\n"), "1 2 1997-12-04T15:55:49Z");
    assert_eq!(rows("x", b"\xef\xbb\xbfuser;item\nu;i\n"), "u i");
    assert_eq!(rows("x", b"1 2 3\n"), "1 2, 1 3");
    let (dataset, _folder) = check(
        &[
            ("b.csv", b"user,item\nu,i\n"),
            ("a.jsonl", b"{\"id\": 3, \"title\": \"T\"}\n"),
            ("c.csv", b"x,y\n1,2\n"),
        ],
        &["a folder of files", "Content: 3 T", "Events: u i"],
    );
    assert_eq!(dataset.ignored.len(), 1);
}

#[test]
fn what_nobody_could_read_is_told() {
    let told = |name: &str, bytes: &[u8]| {
        let folder = folder(&[(name, bytes)]);
        let path = folder.path().join(name);
        let error = sona_formats::recognise(&path, &sona_formats::Options::default());
        error.expect_err("not readable").to_string()
    };
    assert!(told("a.json", b"[{\"user\": 1}]").contains("one object a line"));
    assert!(told("a.csv", b"p,q,r,s,t\n1,2,3,4,5\n").contains("--column user=NAME"));
    assert!(told("a.csv", b"").contains("empty"));
    assert!(told("a.parquet", b"PAR1 and nothing more").contains("Parquet"));
    assert!(told("a", b"\x28\xb5\x2f\xfd broken").contains('a'));
}
