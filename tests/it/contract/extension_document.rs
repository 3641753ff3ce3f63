//! A small judge over our own document of the extension contract, `docs/extension.openapi.json`, for both directions.
//!
//! In: a request, an answer or a webhook. Out: the list of its faults; empty when the document has nothing against it. Keys that
//! are not documented are faults. A keyword that it does not know stops it, so that the document says nothing unjudged.

use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use lockstep::clock::Millis;
use lockstep::systems::{Transport, TransportError};
use serde_json::Value;
use uuid::Uuid;

/// The document.
pub static DOCUMENT: LazyLock<Value> =
    LazyLock::new(|| serde_json::from_str(include_str!("../../../docs/extension.openapi.json")).unwrap());

const METHODS: [&str; 4] = ["get", "post", "put", "delete"];

/// What a schema may say; the first three are for people.
const KEYWORDS: [&str; 16] = [
    "description",
    "examples",
    "$ref",
    "type",
    "enum",
    "const",
    "minLength",
    "format",
    "minimum",
    "maximum",
    "minProperties",
    "required",
    "properties",
    "additionalProperties",
    "items",
    "anyOf",
];

/// Every documented operation: `PUT /contacts/{contactId}`.
pub fn operations() -> BTreeSet<String> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let all = paths.iter().flat_map(|(path, says)| METHODS.map(|method| (path, method, &says[method])));
    all.filter(|(.., says)| !says.is_null())
        .map(|(path, method, _)| format!("{} {path}", method.to_uppercase()))
        .collect()
}

/// The faults of a request to the endpoint, and the operation it is.
pub fn check_request(request: &http::Request<Bytes>) -> (Option<String>, Vec<String>) {
    let Some((name, path, operation)) = find(request.method().as_str(), request.uri().path()) else {
        return (None, vec![format!("no operation {} {}", request.method(), request.uri().path())]);
    };
    let mut faults = Vec::new();
    let listed = |says: &'static Value| says["parameters"].as_array().into_iter().flatten().map(follow);
    let url = reqwest::Url::parse(&format!("http://localhost/?{}", request.uri().query().unwrap_or_default())).unwrap();
    let mut query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    for parameter in listed(path).chain(listed(operation)).filter(|parameter| parameter["in"] != "path") {
        let name = parameter["name"].as_str().unwrap();
        let sent = match parameter["in"].as_str() {
            Some("query") => query.iter().position(|(key, _)| key == name).map(|at| query.swap_remove(at).1),
            _ => request.headers().get(name).map(|value| value.to_str().unwrap().to_owned()),
        };
        let typed = |text: String| {
            if parameter["schema"]["type"] == "integer" { text.parse().ok().map(i64::into) } else { Some(text.into()) }
        };
        match sent.map(|text| typed(text).unwrap_or_default()) {
            Some(value) => judge(&parameter["schema"], &value, name, &mut faults),
            None if parameter["required"] == true => faults.push(format!("{name} is missing")),
            None => {}
        }
    }
    faults.extend(query.iter().map(|(name, _)| format!("query {name} is not documented")));
    if !request.headers().get("webhook-signature").is_some_and(|value| value.to_str().unwrap().starts_with("v1,")) {
        faults.push("no signature".to_owned());
    }
    content(follow(&operation["requestBody"]), request.headers(), request.body(), &mut faults);
    (Some(name), faults)
}

/// The faults of an answer of the endpoint.
pub fn check_answer(method: &str, path: &str, answer: &http::Response<Bytes>) -> Vec<String> {
    let Some((_, _, operation)) = find(method, path) else { return vec![format!("no operation {method} {path}")] };
    let mut faults = Vec::new();
    match operation["responses"].get(answer.status().as_str()) {
        Some(says) => content(follow(says), answer.headers(), answer.body(), &mut faults),
        None => faults.push(format!("status {} is not documented", answer.status())),
    }
    faults
}

/// The faults of a webhook of the endpoint.
pub fn check_webhook(body: &Value) -> Vec<String> {
    let mut faults = Vec::new();
    let kind = body["type"].as_str().and_then(|word| word.split('.').next()).unwrap_or_default();
    match DOCUMENT["webhooks"].get(kind) {
        Some(says) => {
            let schema = &says["post"]["requestBody"]["content"]["application/json"]["schema"];
            judge(schema, body, "body", &mut faults);
        }
        None => faults.push(format!("no webhook of a `{kind}`")),
    }
    faults
}

/// The operation of a path, what is said of the path, and of the operation.
fn find(method: &str, path: &str) -> Option<(String, &'static Value, &'static Value)> {
    let sent: Vec<&str> = path.split('/').collect();
    let fits = |template: &str| {
        let wanted: Vec<&str> = template.split('/').collect();
        let same = |(wanted, sent): (&&str, &&str)| wanted == sent || (wanted.starts_with('{') && !sent.is_empty());
        wanted.len() == sent.len() && wanted.iter().zip(&sent).all(same)
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    // `tags` stands before `{taskId}`, which no path has in its place.
    let (template, says) =
        paths.iter().find(|(template, says)| fits(template) && !says[method.to_lowercase()].is_null())?;
    Some((format!("{method} {template}"), says, &says[method.to_lowercase()]))
}

/// The faults of a body, by the `content` of a request or an answer.
fn content(says: &'static Value, headers: &http::HeaderMap, body: &Bytes, faults: &mut Vec<String>) {
    let documented = says["content"].as_object();
    let Some((kind, form)) = documented.and_then(|content| content.iter().next()) else {
        faults.extend((!body.is_empty()).then(|| "a body where none is documented".to_owned()));
        return;
    };
    let sent = headers.get("content-type").map_or("", |value| value.to_str().unwrap());
    if sent.split(';').next() != Some(kind.as_str()) {
        faults.push(format!("content type `{sent}` in place of {kind}"));
    }
    match serde_json::from_slice(body) {
        Ok(value) => judge(&form["schema"], &value, "body", faults),
        Err(_) => faults.push("the body is not JSON".to_owned()),
    }
}

/// What a reference leads to.
pub fn follow(says: &'static Value) -> &'static Value {
    let Some(reference) = says["$ref"].as_str() else { return says };
    let pointer = reference.strip_prefix('#').expect("a reference into the document");
    follow(DOCUMENT.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere")))
}

/// Adds the faults of a value by a schema; `at` is the place in the message.
pub fn judge(schema: &'static Value, value: &Value, at: &str, faults: &mut Vec<String>) {
    let schema = follow(schema);
    let unknown = schema.as_object().unwrap().keys().find(|key| !KEYWORDS.contains(&key.as_str()));
    assert_eq!(unknown, None, "the judge does not know this keyword, at {at}");
    if let Some(choices) = schema["anyOf"].as_array() {
        let of = |choice: &'static Value| {
            let mut faults = Vec::new();
            judge(choice, value, at, &mut faults);
            faults
        };
        // What comes closest tells best what is wrong.
        faults.extend(choices.iter().map(of).min_by_key(Vec::len).unwrap_or_default());
        return;
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        one => one.as_str().into_iter().collect(),
    };
    if !types.is_empty() && !types.iter().any(|name| is_of(value, name)) {
        return faults.push(format!("{at} is not of type {types:?}"));
    }
    faults.extend(limits(schema, value).into_iter().map(|fault| format!("{at} {fault}")));
    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
        judge(&schema["items"], item, &format!("{at}[{index}]"), faults);
    }
    let Some(object) = value.as_object() else { return };
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    faults.extend(required.filter(|key| !object.contains_key(*key)).map(|key| format!("{at}.{key} is missing")));
    for (key, held) in object {
        match schema["properties"].get(key).or_else(|| schema.get("additionalProperties")) {
            Some(property) => judge(property, held, &format!("{at}.{key}"), faults),
            None => faults.push(format!("{at}.{key} is not documented")),
        }
    }
}

fn is_of(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => panic!("no type is called {name}"),
    }
}

fn limits(schema: &Value, value: &Value) -> Vec<&'static str> {
    let format =
        |name: &str, fits: fn(&str) -> bool| schema["format"] == name && value.as_str().is_some_and(|text| !fits(text));
    let below =
        |key: &str, size: Option<usize>| size.is_some_and(|size| (size as u64) < schema[key].as_u64().unwrap_or(0));
    let beyond = |key: &str, off: fn(i64, i64) -> bool| {
        schema[key].as_i64().zip(value.as_i64()).is_some_and(|(limit, value)| off(value, limit))
    };
    let found = [
        (schema["enum"].as_array().is_some_and(|words| !words.contains(value)), "is none of its words"),
        (schema.get("const").is_some_and(|only| only != value), "is not the only value it may have"),
        (format("date-time", |text| text.ends_with('Z') && Millis::parse(text).is_some()), "is no instant in UTC"),
        (format("uuid", |text| Uuid::parse_str(text).is_ok()), "is no UUID"),
        (below("minLength", value.as_str().map(str::len)), "is too short"),
        (below("minProperties", value.as_object().map(serde_json::Map::len)), "has too few keys"),
        (beyond("minimum", |value, limit| value < limit), "is too small"),
        (beyond("maximum", |value, limit| value > limit), "is too large"),
    ];
    found.into_iter().filter_map(|(is, fault)| is.then_some(fault)).collect()
}

/// A [`Transport`] that stops the test at the first request or answer that is not as documented.
pub struct Judged<T> {
    /// Where the requests go.
    pub inner: T,
    /// The operations that were asked for and succeeded.
    pub succeeded: Mutex<BTreeSet<String>>,
}

impl<T> Judged<T> {
    /// Nothing was asked yet.
    pub fn new(inner: T) -> Self {
        Self { inner, succeeded: Mutex::default() }
    }
}

#[async_trait]
impl<T: Transport> Transport for Judged<T> {
    async fn send(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, TransportError> {
        let (method, path) = (request.method().to_string(), request.uri().path().to_owned());
        let (operation, faults) = check_request(&request);
        assert_eq!(faults, [""; 0], "{method} {} {:?}", request.uri(), request.body());
        let answer = self.inner.send(request).await?;
        assert_eq!(check_answer(&method, &path, &answer), [""; 0], "{method} {path}: {answer:?}");
        if answer.status().is_success() {
            self.succeeded.lock().unwrap().extend(operation);
        }
        Ok(answer)
    }
}
