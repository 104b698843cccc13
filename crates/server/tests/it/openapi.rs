//! `/api/openapi.json` and `/api/docs`: the document, the page, and what the server does are one.

use insta::assert_json_snapshot;
use reqwest::Method;
use serde_json::{Map, Value, json};
use sona_testkit::{Answer, Backend, TestServer};

use crate::checkerboard;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

/// One operation of the document.
struct Operation {
    method: Method,
    path: String,
    spec: Value,
}

pub(crate) async fn document(server: &TestServer) -> Value {
    let (status, document) = server.get("/api/openapi.json").await;
    assert_eq!(status, 200);
    document
}

/// All operations, those that remove something last.
fn operations(document: &Value) -> Vec<Operation> {
    let paths = document["paths"].as_object().expect("paths");
    let mut operations = Vec::new();
    for (path, item) in paths {
        for (method, spec) in item.as_object().expect("an item") {
            assert!(METHODS.contains(&method.as_str()), "{method}");
            let method = method.to_uppercase().parse().expect("a method");
            operations.push(Operation { method, path: path.clone(), spec: spec.clone() });
        }
    }
    operations.sort_by_key(|operation| operation.method == Method::DELETE);
    operations
}

#[tokio::test]
async fn the_document() {
    let server = TestServer::start(Backend::Sqlite).await;
    let document = document(&server).await;
    assert_eq!(document["openapi"], "3.1.0");
    let mut names: Vec<_> = operations(&document)
        .iter()
        .map(|operation| operation.spec["operationId"].as_str().expect("a name").to_owned())
        .collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "every operation has a name of its own");
    assert_json_snapshot!(document, {".info.version" => "[version]"});
}

#[tokio::test]
async fn the_table_of_urls_is_the_document() {
    let server = TestServer::start(Backend::Sqlite).await;
    let mut documented: Vec<_> = operations(&document(&server).await)
        .into_iter()
        .map(|operation| format!("{} {}", operation.method, operation.path))
        .collect();
    let mut listed = Vec::new();
    for line in include_str!("../../src/router.rs").lines() {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        if let ["//!", methods, path, _, ""] = cells.as_slice()
            && let Some(path) = path.strip_prefix('`').and_then(|path| path.strip_suffix('`'))
        {
            listed.extend(methods.split(", ").map(|method| format!("{method} {path}")));
        }
    }
    documented.sort();
    listed.sort();
    assert_eq!(listed, documented);
}

/// Every operation is sent its own example and answers as documented, in status, kind and shape.
#[tokio::test]
async fn every_operation_does_what_the_document_says() {
    let server = checkerboard(Backend::Sqlite).await;
    server.train().await;
    let stalker = json!({"content_id": "stalker", "title": "Stalker"});
    server.post("/api/v1/content", &stalker).await;
    let shown = crate::list(&server, "user-1", 3).await["recommendation_id"].clone();
    let shown = shown.as_str().expect("a name");
    let exposure = format!("/api/v1/recommendations/{shown}/exposure");
    crate::until(async || server.get(&exposure).await.0 == 200).await;
    let document = document(&server).await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
    let client = client.expect("a client");
    for Operation { method, path, spec } in operations(&document) {
        if crate::adapters::needs_a_ranker(&path) {
            // Held to the document where there is one.
            continue;
        }
        let version = crate::adapters::put_versions(&server, "user-1").await.to_string();
        let url = path.replace("{content_id}", "title-1").replace("{user_id}", "user-1");
        let url = url.replace("{adapter_name}", "default").replace("{version}", &version);
        let url = url.replace("{recommendation_id}", shown);
        let mut request = client.request(method.clone(), server.url(&url));
        if let Some(content) = spec["requestBody"]["content"].as_object() {
            let (kind, media) = content.iter().next().expect("a media type");
            let example = Some(&media["example"]).filter(|example| !example.is_null());
            let example =
                example.unwrap_or_else(|| &resolve(&document, &media["schema"])["example"]);
            assert!(!example.is_null(), "{method} {path} has no example");
            request = request.header("content-type", kind).body(example.to_string());
        }
        let answer = Answer::to(request).await;
        let place = format!("{method} {path}: {} {}", answer.status, answer.text);
        assert!((200..400).contains(&answer.status), "{place}");
        let documented = &spec["responses"][answer.status.to_string()];
        assert!(documented.is_object(), "{place} is not documented");
        assert!(spec["responses"]["default"].is_object(), "{place}: failures are documented");
        if let Some(content) = documented["content"].as_object() {
            let (kind, media) = content.iter().next().expect("a media type");
            assert!(answer.header("content-type").starts_with(kind.as_str()), "{place}");
            if kind == "application/json" {
                conform(&document, &media["schema"], &answer.json().1, &place);
            }
        }
    }
}

/// The schema itself, where a reference stands.
fn resolve<'d>(document: &'d Value, schema: &'d Value) -> &'d Value {
    match schema["$ref"].as_str() {
        Some(reference) => {
            let pointer = reference.strip_prefix('#').expect("a reference into the document");
            resolve(document, document.pointer(pointer).expect("what is referred to exists"))
        }
        None => schema,
    }
}

/// Holds a value to a schema: kinds, required and known properties.
pub(crate) fn conform(document: &Value, schema: &Value, value: &Value, place: &str) {
    let problem = mismatch(document, schema, value, "");
    assert_eq!(problem, None, "{place}");
}

fn mismatch(document: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    let schema = resolve(document, schema);
    for choice in ["oneOf", "anyOf"] {
        if let Some(choices) = schema[choice].as_array() {
            let fits = choices.iter().any(|s| mismatch(document, s, value, at).is_none());
            return (!fits).then(|| format!("{at}: no choice fits {value}"));
        }
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let kinds = schema["type"].as_array().cloned();
    let kinds = kinds.or_else(|| schema["type"].as_str().map(|kind| vec![json!(kind)]))?;
    let is = |kind: &str| kinds.contains(&json!(kind));
    if !is(kind) && (kind != "integer" || !is("number")) {
        return Some(format!("{at}: {value} is not {kinds:?}"));
    }
    if let Some(fields) = value.as_object() {
        return mismatched_field(document, schema, fields, at);
    }
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default().iter().enumerate();
    let mut items = items.map(|(n, item)| (format!("{at}/{n}"), item));
    items.find_map(|(at, item)| mismatch(document, &schema["items"], item, &at))
}

fn mismatched_field(
    document: &Value,
    schema: &Value,
    fields: &Map<String, Value>,
    at: &str,
) -> Option<String> {
    let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut required = required.iter().filter_map(Value::as_str);
    if let Some(name) = required.find(|name| !fields.contains_key(*name)) {
        return Some(format!("{at}/{name} is missing"));
    }
    let properties = schema["properties"].as_object()?;
    fields.iter().find_map(|(name, value)| match properties.get(name) {
        Some(property) => mismatch(document, property, value, &format!("{at}/{name}")),
        None => Some(format!("{at}/{name} is not documented")),
    })
}

/// The fields the document names are the fields the server reads: an unknown one is answered with the known ones.
#[tokio::test]
async fn the_document_names_the_fields_that_are_read() {
    let server = checkerboard(Backend::Sqlite).await;
    let document = document(&server).await;
    let unknown = json!({"zzzzzzzzzzzzzzzz": 0});
    let cases = [
        ("RecommendationRequest", "/api/v1/recommendations", unknown.clone()),
        ("ScoresRequest", "/api/v1/personalization/score", unknown.clone()),
        ("Context", "/api/v1/recommendations", json!({"user_id": "u", "context": unknown})),
        ("ProfileUpdate", "/api/v1/profile/update", unknown.clone()),
        ("Viewing", "/api/v1/profile/update", json!({"user_id": "u", "viewing_events": [unknown]})),
        ("EventInput", "/api/v1/events/track", unknown.clone()),
        ("UserInput", "/api/v1/users/bulk", unknown.clone()),
        ("Content", "/api/v1/content", unknown.clone()),
        (
            "Credit",
            "/api/v1/content",
            json!({"content_id": "c", "title": "T", "credits": [unknown]}),
        ),
    ];
    for (schema, path, body) in cases {
        let (status, problem) = server.post(path, &body).await;
        assert_eq!(status, 422, "{schema}: {problem}");
        let errors = problem["errors"].as_array().expect("errors");
        let known = errors
            .iter()
            .filter_map(|error| error["detail"].as_str()?.split_once("; known fields: "))
            .map(|(_, known)| known)
            .next()
            .unwrap_or_else(|| panic!("{schema}: no error lists the known fields: {problem}"));
        let mut known: Vec<_> = known.split(", ").collect();
        let properties = document.pointer(&format!("/components/schemas/{schema}/properties"));
        let properties = properties.and_then(Value::as_object);
        let mut documented: Vec<_> =
            properties.unwrap_or_else(|| panic!("{schema} is documented")).keys().collect();
        known.sort_unstable();
        documented.sort_unstable();
        assert_eq!(known, documented, "{schema}");
    }
}

#[tokio::test]
async fn the_page_needs_nothing_from_elsewhere() {
    let server = TestServer::start(Backend::Sqlite).await;
    let answer = Answer::to(server.request(Method::GET, "/api/docs")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
    assert!(answer.header("content-security-policy").starts_with("default-src 'none';"));
    assert!(answer.text.len() < 40_000, "{} bytes", answer.text.len());
    for elsewhere in ["http://", "https://", "src=\"", "@import", "url("] {
        assert!(!answer.text.contains(elsewhere), "{elsewhere}");
    }
}

#[tokio::test]
async fn the_root_leads_to_the_page() {
    let server = TestServer::start(Backend::Sqlite).await;
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build();
    let answer = Answer::to(client.expect("a client").get(server.url("/"))).await;
    assert_eq!((answer.status, answer.header("location")), (307, "/api/docs"));
}
