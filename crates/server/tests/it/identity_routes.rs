//! Every route of the document, asked by whoever should not: nobody gets through, and nothing leaks.
//!
//! The cases are made from the document, so a route added later is in them; one that does not say whom it lets
//! in fails here.

use std::collections::BTreeMap;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use sona_domain::Scope;
use sona_testkit::{Answer, Backend, TestServer, World};

use crate::tokens::{end_user, secret_server, service};
use crate::{code, titles};

/// One operation of the document and whom it lets in.
#[derive(Debug, Clone)]
struct Route {
    method: Method,
    path: String,
    /// `None`: public. Else the scopes of which a service needs all.
    scopes: Option<Vec<String>>,
    /// What it says to those it does not let in.
    forbidden: String,
    body: Option<(String, Value)>,
    names_a_user: bool,
}

impl Route {
    fn is_for_end_users(&self) -> bool {
        self.forbidden.is_empty() || self.forbidden.contains("an end user may, for themselves")
    }

    /// The request with `user` wherever it names one.
    fn request(&self, server: &TestServer, user: &str) -> RequestBuilder {
        let path = self.path.replace("{user_id}", user).replace("{content_id}", "title-1");
        let mut request = server.request(self.method.clone(), &path).header("x-request-id", "same");
        if let Some((kind, body)) = &self.body {
            let mut body = body.clone();
            if self.names_a_user {
                if let Some(entries) = body.as_array_mut() {
                    for entry in entries {
                        entry["user_id"] = user.into();
                    }
                } else {
                    body["user_id"] = user.into();
                }
            }
            request = request.header("content-type", kind).body(body.to_string());
        }
        request
    }
}

async fn routes(server: &TestServer) -> Vec<Route> {
    let (_, document) = server.get("/api/openapi.json").await;
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, spec) in item.as_object().expect("an item") {
            routes.push(route(&document, method, path, spec));
        }
    }
    // Those that remove something come last.
    routes.sort_by_key(|route| route.method == Method::DELETE);
    routes
}

fn route(document: &Value, method: &str, path: &str, spec: &Value) -> Route {
    let place = format!("{method} {path}");
    let security = spec["security"].as_array();
    let security = security.unwrap_or_else(|| panic!("{place} does not say whom it lets in"));
    let ways: BTreeMap<String, Vec<String>> = security
        .iter()
        .flat_map(|way| way.as_object().expect("a way in"))
        .map(|(name, scopes)| {
            (name.clone(), serde_json::from_value(scopes.clone()).expect("names"))
        })
        .collect();
    assert!(ways.is_empty() || ways.keys().eq(["api_key", "bearer"]), "{place}: {ways:?}");
    let content = spec["requestBody"]["content"].as_object();
    let body = content.and_then(|content| content.iter().next()).map(|(kind, media)| {
        let schema = resolve(document, &media["schema"]);
        let example = Some(&media["example"]).filter(|example| !example.is_null());
        (kind.clone(), example.unwrap_or(&schema["example"]).clone(), schema.clone())
    });
    let names_a_user =
        body.as_ref().is_some_and(|(_, _, schema)| mentions_user(document, schema, 0));
    Route {
        method: method.to_uppercase().parse().expect("a method"),
        path: path.to_owned(),
        scopes: ways.get("bearer").cloned(),
        forbidden: spec["responses"]["403"]["description"].as_str().unwrap_or_default().to_owned(),
        body: body.map(|(kind, example, _)| (kind, example)),
        names_a_user: names_a_user || path.contains("{user_id}"),
    }
}

fn resolve<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    schema["$ref"].as_str().map_or(schema, |reference| {
        let pointer = reference.strip_prefix('#').expect("a reference into the document");
        resolve(document, document.pointer(pointer).expect("what is referred to exists"))
    })
}

/// True if a body of this schema can name a user, however deep.
fn mentions_user(document: &Value, schema: &Value, depth: usize) -> bool {
    let schema = resolve(document, schema);
    let inner = |value: &Value| depth < 8 && mentions_user(document, value, depth + 1);
    match schema {
        Value::Object(fields) => {
            fields.get("properties").is_some_and(|fields| fields.get("user_id").is_some())
                || fields.iter().any(|(name, value)| name != "example" && inner(value))
        }
        Value::Array(values) => values.iter().any(inner),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

async fn world() -> TestServer {
    let server = secret_server().await;
    server.populate(World::new(10)).await;
    server
}

#[tokio::test]
async fn nobody_gets_through_without_saying_who_they_are() {
    let server = world().await;
    let mut closed = 0;
    for route in routes(&server).await {
        let answer = Answer::to(route.request(&server, "user-1")).await;
        if route.scopes.is_none() {
            assert!(answer.status < 400, "{route:?} is public: {}", answer.text);
            continue;
        }
        closed += 1;
        assert_eq!((answer.status, code(&answer.json().1)), (401, "unauthenticated"), "{route:?}");
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"sona\"", "{route:?}");
        for wrong in ["a.b.c", "sona_0_0"] {
            let answer = Answer::to(route.request(&server, "user-1").bearer_auth(wrong)).await;
            assert_eq!(answer.status, 401, "{route:?}");
        }
    }
    assert!(closed >= 12, "{closed} routes ask who is there");
    let public =
        ["/", "/api/docs", "/api/openapi.json", "/health", "/health/live", "/health/ready"];
    let mut open: Vec<_> = routes(&server).await;
    open.retain(|route| route.scopes.is_none());
    open.sort_by(|one, other| one.path.cmp(&other.path));
    assert!(open.iter().map(|route| route.path.as_str()).eq(public), "{open:?}");
}

#[tokio::test]
async fn a_service_without_the_scope_is_refused() {
    let server = world().await;
    let mut refused = 0;
    for route in routes(&server).await {
        let Some(scopes) = &route.scopes else { continue };
        let lacking =
            Scope::ALL.into_iter().filter(|scope| scopes.iter().all(|s| s != scope.as_str()));
        let lacking = lacking.map(Scope::as_str).collect::<Vec<_>>().join(" ");
        let token = service(&server, &lacking);
        let answer = Answer::to(route.request(&server, "user-1").bearer_auth(&token)).await;
        let (status, problem) = answer.json();
        if scopes.is_empty() {
            assert!(status < 400, "{route:?} lets in every service: {problem}");
            continue;
        }
        refused += 1;
        assert_eq!((status, code(&problem)), (403, "forbidden"), "{route:?}");
        let challenge = answer.header("www-authenticate");
        let scope = format!("error=\"insufficient_scope\", scope=\"{}\"", scopes.join(" "));
        assert!(challenge.ends_with(&scope), "{challenge}");
        // And with just the scope they do get through.
        let token = service(&server, &scopes.join(" "));
        let answer = Answer::to(route.request(&server, "user-1").bearer_auth(&token)).await;
        assert!(![401, 403].contains(&answer.status), "{route:?}: {}", answer.text);
    }
    assert!(refused >= 10, "{refused} routes need a scope");
}

/// What an end user is told about somebody else, in full: status, headers and body.
async fn foreign_answers(server: &TestServer) -> Vec<(String, u16, String, String)> {
    let token = end_user(server, "user-2");
    let mut answers = Vec::new();
    for route in routes(server).await.iter().filter(|route| route.scopes.is_some()) {
        if !route.names_a_user && route.is_for_end_users() {
            continue;
        }
        for user in ["user-1", "nobody-at-all"] {
            let answer = Answer::to(route.request(server, user).bearer_auth(&token)).await;
            let mut headers: Vec<_> =
                answer.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
            headers.retain(|line| !line.starts_with("date: "));
            headers.sort();
            let place = format!("{} {} {user}", route.method, route.path);
            let text = answer.text.replace(user, "SOMEBODY").replace("title-1", "TITLE");
            let length = format!("content-length: \"{}\"", answer.text.len());
            let headers = headers.join("\n").replace(&length, "");
            answers.push((place, answer.status, headers, text));
        }
    }
    answers
}

#[tokio::test]
async fn an_end_user_learns_nothing_about_anybody_else() {
    let server = world().await;
    let answers = foreign_answers(&server).await;
    assert!(answers.len() >= 2 * 9, "{} answers", answers.len());
    for pair in answers.chunks(2) {
        let [(place, status, headers, text), (_, other_status, other_headers, other_text)] = pair
        else {
            panic!("two answers a route");
        };
        assert_eq!(*status, 403, "{place}: {text}");
        assert!(text.contains("urn:sona:problem:forbidden"), "{place}: {text}");
        assert_eq!(
            (status, headers, text),
            (other_status, other_headers, other_text),
            "{place}: whether the user exists makes no difference"
        );
    }
    // Where nothing is known of anybody the answers are the same, and so they are where nothing can be looked up
    // any more: the refusal comes before any question to the database.
    let empty = secret_server().await;
    assert_eq!(foreign_answers(&empty).await, answers);
    server.engine.close().await;
    assert_eq!(foreign_answers(&server).await, answers);
}

#[tokio::test]
async fn an_end_user_does_everything_for_themselves() {
    let server = world().await;
    let token = end_user(&server, "user-1");
    let mut own = 0;
    for route in routes(&server).await.iter().filter(|route| route.scopes.is_some()) {
        if !route.is_for_end_users() {
            continue;
        }
        own += 1;
        let answer = Answer::to(route.request(&server, "user-1").bearer_auth(&token)).await;
        assert!(![401, 403].contains(&answer.status), "{route:?}: {}", answer.text);
    }
    assert!(own >= 6, "{own} routes are for end users");
}

#[tokio::test]
async fn an_end_user_need_not_say_who_they_are_twice() {
    let server = world().await;
    let token = end_user(&server, "user-4");
    let post = async |path: &str, body: Value| {
        let request = server.request(Method::POST, path).json(&body);
        Answer::to(request.bearer_auth(&token)).await.json()
    };
    for named in [json!({}), json!({"user_id": null}), json!({"user_id": "user-4"})] {
        let (status, list) = post("/api/v1/recommendations", named).await;
        assert_eq!((status, &list["user_id"]), (200, &json!("user-4")), "{list}");
        assert_eq!(titles(&list, "recommendations")[0], "title-4");
    }
    let event = json!({"content_id": "title-4", "event_type": "like"});
    let both = json!([event, {"user_id": "user-4", "content_id": "title-1", "event_type": "like"}]);
    assert_eq!(post("/api/v1/events/track", event).await.0, 200);
    let (status, tracked) = post("/api/v1/events/track", both).await;
    assert_eq!((status, &tracked["accepted"]), (200, &json!(2)), "{tracked}");
    let viewings = json!({"viewing_events": [{"content_id": "title-3"}]});
    let (status, updated) = post("/api/v1/profile/update", viewings).await;
    assert_eq!((status, &updated["user_id"]), (200, &json!("user-4")), "{updated}");
    // Four viewings of before, four events of today.
    assert_eq!(updated["profile"]["interaction_count"], 8);
    let (status, problem) = post("/api/v1/recommendations", json!({"user_id": 4})).await;
    assert_eq!((status, code(&problem)), (422, "invalid-request"), "{problem}");
}

#[tokio::test]
async fn one_foreign_event_and_none_is_written() {
    let server = world().await;
    let token = end_user(&server, "user-1");
    let before = server.engine.stats().applied;
    let own = json!({"user_id": "user-1", "content_id": "title-2", "event_type": "like"});
    let foreign = json!({"user_id": "user-2", "content_id": "title-3", "event_type": "like"});
    let lines = format!("{own}\n{foreign}\n");
    let list = json!([own, foreign]).to_string();
    let beside_rubbish = format!("{own}\nrubbish\n{foreign}\n");
    for (kind, body) in [
        ("application/json", foreign.to_string()),
        ("application/json", list),
        ("application/x-ndjson", lines),
        ("application/x-ndjson", beside_rubbish),
        ("text/plain", format!("[{{}}, {foreign}]")),
        ("application/json", json!({"user_id": "user-2", "content_id": 7}).to_string()),
        ("application/json", r#"{"user_id": "user-1", "user_id": "user-2"}"#.to_owned()),
    ] {
        let request = server.request(Method::POST, "/api/v1/events/track");
        let request = request.header("content-type", kind).body(body.clone());
        let (status, problem) = Answer::to(request.bearer_auth(&token)).await.json();
        assert_eq!((status, code(&problem)), (403, "forbidden"), "{body}: {problem}");
    }
    assert_eq!(server.engine.stats().applied, before, "nothing was written");
}

#[tokio::test]
async fn the_table_for_users_is_the_document() {
    let server = TestServer::start(Backend::Sqlite).await;
    let mut documented: Vec<_> = routes(&server)
        .await
        .into_iter()
        .map(|route| {
            let end_users = match (&route.scopes, route.is_for_end_users()) {
                (_, false) => "no",
                (Some(_), true) if route.names_a_user => "for themselves",
                (_, true) => "yes",
            };
            let services = match route.scopes.as_deref() {
                None => "yes".to_owned(),
                Some([]) => "any scope".to_owned(),
                Some(scopes) => format!("`{}`", scopes.join(" ")),
            };
            let nobody = if route.scopes.is_none() { "yes" } else { "no" };
            format!("{} `{}` | {nobody} | {end_users} | {services}", route.method, route.path)
        })
        .collect();
    let page = include_str!("../../../../docs/identity.md");
    let mut listed: Vec<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"))
        .filter(|line| line.contains(" `/"))
        .map(str::to_owned)
        .collect();
    documented.sort();
    listed.sort();
    assert_eq!(listed, documented);
}

#[tokio::test]
async fn without_identity_only_names_of_this_machine_are_answered() {
    let server = TestServer::start(Backend::Sqlite).await;
    for (path, host, status) in [
        ("/health", "localhost", 200),
        ("/health", "127.0.0.1:8082", 200),
        ("/health", "[::1]:1", 200),
        ("/health", "rebound.example", 421),
        ("/api/openapi.json", "rebound.example:8082", 421),
        ("/nothing", "rebound.example", 421),
    ] {
        let request = server.request(Method::GET, path).header("host", host);
        let answer = Answer::to(request).await;
        assert_eq!(answer.status, status, "{host}: {}", answer.text);
        assert!(status == 200 || code(&answer.json().1) == "foreign-host", "{}", answer.text);
    }
    let server = secret_server().await;
    let request = server.request(Method::GET, "/health").header("host", "sona.example");
    assert_eq!(Answer::to(request).await.status, 200, "with identity any name is answered");
}

#[tokio::test]
async fn health_says_which_mode_and_keeps_addresses_from_strangers() {
    let server = TestServer::start(Backend::Sqlite).await;
    let (_, open) = server.get("/health").await;
    assert_eq!(open["identity"], "none");
    assert!(open["database"].as_str().is_some_and(|name| name.len() > "sqlite:".len()), "{open}");
    let server = secret_server().await;
    let (_, closed) = server.get("/health").await;
    assert_eq!((&closed["identity"], &closed["database"]), (&json!("required"), &json!("sqlite")));
    server.engine.close().await;
    let (status, problem) = server.get("/health/ready").await;
    assert_eq!(status, 503);
    assert_eq!(problem["detail"], "the database does not answer; the log says why");
}
