//! In whose company.

use super::words::{share, words};

words! {
    /// Who watches along.
    Company {
        /// Nobody.
        Alone = "alone",
        /// One's partner.
        Partner = "partner",
        /// Friends.
        Friends = "friends",
        /// The family, children among them.
        Family = "family",
        /// Children by themselves.
        Kids = "kids",
    }
}

impl Company {
    /// How well a title of these genres fits, 0..=1: the share of its genres that serve the company. Alone everything
    /// fits equally, .5.
    pub fn fit(self, genres: &[String]) -> f32 {
        match self {
            Self::Alone => 0.5,
            Self::Partner => share(genres, &["romance", "comedy", "drama"]),
            Self::Friends => share(genres, &["comedy", "action", "horror", "thriller"]),
            Self::Family => share(
                genres,
                &["family", "animation", "animated", "adventure", "comedy", "fantasy"],
            ),
            Self::Kids => share(genres, &["family", "animation", "animated", "children"]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn company_wants_genres() {
        let genres = ["Animation".to_owned(), "Horror".to_owned()];
        assert_eq!(Company::ALL.len(), 5);
        assert_eq!(Company::Kids.fit(&genres), 0.5);
        assert_eq!(Company::Partner.fit(&genres), 0.0);
        assert_eq!(Company::Alone.fit(&[]), 0.5);
    }
}
