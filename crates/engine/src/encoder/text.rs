//! What of a catalogue entry an encoder reads.

use sona_domain::{Content, RoleType};

/// People of each role that are named.
const PEOPLE: usize = 10;

/// An entry as text: title, original title, genres, themes, moods, directors, writers, actors, producers (the first ten of
/// each, in billing order), and at last the overview, which is what is cut off where an encoder's limit is reached.
pub fn text_of(content: &Content) -> String {
    let people = |role| content.people(role).take(PEOPLE).collect::<Vec<_>>().join(", ");
    let [directors, writers, actors, producers] =
        [RoleType::Director, RoleType::Writer, RoleType::Actor, RoleType::Producer].map(people);
    let parts = [
        content.title.clone(),
        content.original_title.clone().unwrap_or_default(),
        content.genres.join(", "),
        content.themes.join(", "),
        content.moods.join(", "),
        directors,
        writers,
        actors,
        producers,
        content.overview.clone().unwrap_or_default(),
    ];
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(". ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use sona_domain::{ContentId, Credit};

    #[test]
    fn the_order_is_fixed_and_what_is_missing_leaves_no_trace() {
        let mut content = Content::new(ContentId::new("m1").expect("an id"), "Stalker");
        assert_eq!(text_of(&content), "Stalker");
        let credit = |name: &str, role_type| Credit {
            person_name: name.to_owned(),
            role_type,
            character_name: None,
            order_index: 0,
        };
        content.original_title = Some("Сталкер".to_owned());
        content.genres = vec!["Drama".to_owned(), "Science Fiction".to_owned()];
        content.moods = vec!["slow".to_owned()];
        content.overview = Some("Two men and their guide.".to_owned());
        content.credits = vec![credit("Alexander Kaidanovsky", RoleType::Actor)];
        content.credits.push(credit("Andrei Tarkovsky", RoleType::Director));
        assert_eq!(
            text_of(&content),
            "Stalker. Сталкер. Drama, Science Fiction. slow. Andrei Tarkovsky. Alexander Kaidanovsky. \
             Two men and their guide."
        );
    }
}
