//! `sona recommend`

use sona_domain::{
    AgeRange, Company, ContentId, DeviceType, Mood, Recommendations, Region, RequestContext,
    TimeOfDay, UserId, Weekday, Zone,
};
use sona_engine::RecommendRequest;

use crate::config::{Config, DataDir};
use crate::output::{Exit, say, say_json};
use crate::wiring;

#[derive(Debug, clap::Args)]
#[command(after_help = "A user nobody has heard of gets a cold list: what is trending and popular.

Examples:
  sona recommend 42
  sona recommend 42 --limit 5 --mood happy --device tv --company family --timezone Europe/Berlin
  sona recommend 42 --exclude 0468569 --exclude 1375666 --json")]
pub(crate) struct Args {
    /// For whom.
    user_id: UserId,
    /// How many titles.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
    limit: u16,
    /// A title not to show; may be given more than once.
    #[arg(long, value_name = "CONTENT_ID")]
    exclude: Vec<ContentId>,
    /// What it will be watched on: tv, mobile, desktop or tablet.
    #[arg(long, value_parser = DeviceType::parse)]
    device: Option<DeviceType>,
    /// In what mood, such as happy, sad, excited, relaxed, scared, romantic, curious or nostalgic.
    #[arg(long, value_parser = Mood::parse)]
    mood: Option<Mood>,
    /// With whom: alone, partner, friends, family or kids.
    #[arg(long, value_parser = Company::parse)]
    company: Option<Company>,
    /// When in the day: morning, afternoon, evening or night.
    #[arg(long, value_parser = TimeOfDay::parse)]
    time_of_day: Option<TimeOfDay>,
    /// On which day, such as saturday.
    #[arg(long, value_parser = Weekday::parse)]
    weekday: Option<Weekday>,
    /// Where the user's clock hangs, such as Europe/Berlin: tells time of day and weekday.
    #[arg(long, value_parser = Zone::parse)]
    timezone: Option<Zone>,
    /// How old the user is: under_18, 18-24, 25-34, 35-44, 45-54, 55-64 or 65_and_over.
    #[arg(long, value_parser = AgeRange::parse)]
    age_range: Option<AgeRange>,
    /// In which country the user lives, by its two letters, such as DE.
    #[arg(long, value_parser = Region::parse)]
    region: Option<Region>,
    /// A genre the user says they like; may be given more than once.
    #[arg(long)]
    genre: Vec<String>,
    /// Print JSON, as the API answers.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(crate) place: DataDir,
}

pub(crate) async fn run(config: &Config, args: &Args) -> anyhow::Result<Exit> {
    let engine = wiring::open(config).await?;
    let request = RecommendRequest {
        user_id: args.user_id.clone(),
        limit: args.limit.into(),
        exclude: args.exclude.clone(),
        context: RequestContext {
            device_type: args.device,
            mood: args.mood,
            company: args.company,
            time_of_day: args.time_of_day,
            weekday: args.weekday,
            timezone: args.timezone.clone(),
            age_range: args.age_range,
            region: args.region,
            genres: args.genre.clone(),
        },
    };
    let answer = engine.recommend(&request).await?;
    if args.json {
        say_json(&answer)?;
    } else {
        print(&answer)?;
    }
    engine.close().await;
    Ok(Exit::Done)
}

/// A list for people.
pub(crate) fn print(answer: &Recommendations) -> anyhow::Result<()> {
    let events = match answer.interaction_count {
        0 => "no events yet".to_owned(),
        1 => "1 event".to_owned(),
        n => format!("{n} events"),
    };
    say(format!("User {} ({events}):", answer.user_id))?;
    for (n, item) in answer.recommendations.iter().enumerate() {
        let year = item.year.map(|year| format!(" ({year})")).unwrap_or_default();
        let title = format!("{}{year}", item.title);
        say(format!("{:3}. {:.3}  {title:<46}  {}", n + 1, item.score, item.explanation))?;
    }
    if answer.recommendations.is_empty() {
        say("  nothing: everything available is seen, dismissed or excluded")?;
    }
    Ok(())
}
