//! What a catalogue entry says of its title that it may say of others too.

use std::collections::HashMap;
use std::sync::Arc;

use sona_domain::{Content, RoleType};

/// The attributes of an entry, each as `kind:word`, so that a genre and a theme of one name differ: its genres, themes,
/// moods, people by what they did, and what kind of thing it is. A year, a length and a popularity are numbers: equal ones
/// do not make titles alike, close ones nearly do.
pub(crate) fn names(content: &Content) -> Vec<String> {
    let mut names = vec![format!("type:{}", content.content_type.as_str())];
    let lists = [("genre", &content.genres), ("theme", &content.themes), ("mood", &content.moods)];
    for (kind, words) in lists {
        names.extend(words.iter().map(|word| format!("{kind}:{word}")));
    }
    for role in RoleType::ALL {
        names.extend(content.people(role).map(|person| format!("{}:{person}", role.as_str())));
    }
    names
}

/// An attribute without its kind, for people.
pub(crate) fn word(name: &str) -> &str {
    name.split_once(':').map_or(name, |(_, word)| word)
}

/// Attributes by name and by number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Vocabulary {
    numbers: HashMap<Arc<str>, u32>,
    names: Vec<Arc<str>>,
}

impl Vocabulary {
    /// The numbers of an entry's attributes, each given out now if it is new; ascending, each once.
    pub(crate) fn numbers_of(&mut self, content: &Content) -> Vec<u32> {
        let mut numbers: Vec<_> = names(content).iter().map(|name| self.number(name)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }

    fn number(&mut self, name: &str) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let (number, name) = (self.names.len() as u32, Arc::from(name));
        self.names.push(Arc::clone(&name));
        self.numbers.insert(name, number);
        number
    }

    /// All names, by number.
    pub(crate) fn names(&self) -> &[Arc<str>] {
        &self.names
    }
}

#[cfg(test)]
mod tests {
    use sona_domain::{ContentId, Credit};

    use super::*;

    #[test]
    fn kinds_keep_equal_words_apart() {
        let mut content = Content::new(ContentId::new("c").expect("an id"), "C");
        content.genres = vec!["War".to_owned()];
        content.themes = vec!["War".to_owned()];
        content.credits = [RoleType::Director, RoleType::Actor]
            .map(|role_type| Credit {
                person_name: "Chaplin".to_owned(),
                role_type,
                character_name: None,
                order_index: 0,
            })
            .into();
        let mut vocabulary = Vocabulary::default();
        assert_eq!(vocabulary.numbers_of(&content), [0, 1, 2, 3, 4]);
        let names: Vec<_> = vocabulary.names().iter().map(AsRef::as_ref).collect();
        let expect = ["type:film", "genre:War", "theme:War", "actor:Chaplin", "director:Chaplin"];
        assert_eq!(names, expect);
        assert_eq!(word(names[4]), "Chaplin");
        assert_eq!(vocabulary.numbers_of(&content), [0, 1, 2, 3, 4]);
    }
}
