//! A small judge over the vendor's OpenAPI documents, v2 and v3.
//!
//! In: a request or an answer. Out: the list of its faults; empty when the document has nothing against it. Requests are
//! judged strictly (no unknown keys), answers leniently (more keys than documented are fine). It knows what these documents
//! use: `$ref`, `allOf`, `anyOf`, `oneOf`, `nullable`, `enum`, `maxLength`, `additionalProperties`; not patterns and number
//! bounds. It reads the copies among the fixtures, or the originals below `GHL_OPENAPI_DIR` where that is set.

use std::sync::LazyLock;

use http::HeaderMap;
use serde_json::Value;

use super::lies;

const NO: &Value = &Value::Null;

/// Documents by name, with their copies.
macro_rules! documents {
    ($($path:literal),+ $(,)?) => {
        [$(($path, include_str!(concat!("../../fixtures/ghl/openapi/", $path)))),+].map(document).to_vec()
    };
}

static V2: LazyLock<Vec<Value>> = LazyLock::new(|| {
    documents![
        "v2/contacts.json",
        "v2/calendars.json",
        "v2/locations.json",
        "v2/businesses.json",
        "v2/users.json",
        "v2/oauth.json",
        "v2/marketplace.json",
    ]
});
static V3: LazyLock<Vec<Value>> = LazyLock::new(|| {
    documents![
        "v3/contacts-v3.json",
        "v3/calendars-v3.json",
        "v3/locations-v3.json",
        "v3/businesses-v3.json",
        "v3/users-v3.json",
        "v3/oauth-v3.json",
        "v3/marketplace-v3.json",
    ]
});
static COMMON: LazyLock<Value> = LazyLock::new(|| documents!["common/common-schemas.json"].remove(0));

/// The original, if the environment names a directory of them, else the copy.
fn document((path, copy): (&str, &str)) -> Value {
    let original = std::env::var_os("GHL_OPENAPI_DIR").map(|dir| std::path::Path::new(&dir).join(path));
    let text =
        original.map(|path| std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display())));
    serde_json::from_str(text.as_deref().unwrap_or(copy)).unwrap()
}

/// A version of the vendor's API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    V2,
    V3,
}

impl Version {
    fn of(headers: &HeaderMap) -> Self {
        if headers.get("version").is_some_and(|version| version == "v3") { Self::V3 } else { Self::V2 }
    }

    fn documents(self) -> &'static [Value] {
        match self {
            Self::V2 => &V2,
            Self::V3 => &V3,
        }
    }
}

/// The faults of a request. `query` is the raw query string without its question mark, `path` the path as sent.
pub fn check_request(method: &str, path: &str, query: &str, headers: &HeaderMap, body: Option<&Value>) -> Vec<String> {
    let Some(found) = Operation::find(Version::of(headers), method, path) else {
        return vec![format!("no operation {method} {path}")];
    };
    let mut faults = found.parameters("header", &|name| headers.get(name)?.to_str().ok().map(str::to_owned));
    let pairs = query_pairs(query);
    faults.extend(found.parameters("query", &|name| pairs.iter().find(|(key, _)| key == name).map(|(_, v)| v.clone())));
    let known = |name: &String| found.named("query").any(|parameter| parameter["name"] == name.as_str());
    faults.extend(
        pairs.iter().filter(|(name, _)| !known(name)).map(|(name, _)| format!("unknown query parameter {name}")),
    );
    let bearer = headers.get("authorization").and_then(|value| value.to_str().ok());
    // Only the token endpoint is for callers without a token.
    if found.template != "/oauth/token" && !bearer.is_some_and(|value| value.len() > 7 && value.starts_with("Bearer "))
    {
        faults.push("no bearer token".to_owned());
    }
    faults.extend(found.request_body(headers, body));
    faults
}

/// The faults of an answer's status and body, by the documents of v2.
pub fn check_response(method: &str, path: &str, status: u16, body: &Value) -> Vec<String> {
    check_response_of(Version::V2, method, path, status, body)
}

/// The faults of an answer's status and body.
pub fn check_response_of(version: Version, method: &str, path: &str, status: u16, body: &Value) -> Vec<String> {
    judge_response(version, method, path, status, body, false)
}

/// The same, with keys that are neither documented nor known to be left out; beside them stands the trace that answers carry.
pub fn check_response_to_the_key(version: Version, method: &str, path: &str, status: u16, body: &Value) -> Vec<String> {
    let mut body = body.clone();
    body.as_object_mut().and_then(|keys| keys.remove("traceId"));
    judge_response(version, method, path, status, &body, true)
}

fn judge_response(version: Version, method: &str, path: &str, status: u16, body: &Value, strict: bool) -> Vec<String> {
    let Some(found) = Operation::find(version, method, path) else {
        return vec![format!("no operation {method} {path}")];
    };
    let meant = lies::meant(&format!("{method} {}", found.template), status);
    let documented = &found.says["responses"][meant.to_string()];
    if documented.is_null() {
        let unlisted = lies::UNLISTED_STATUSES.iter().any(|(known, _)| *known == status);
        return if unlisted { Vec::new() } else { vec![format!("status {status} is not documented")] };
    }
    let mut judge = Judge { document: found.document, strict, faults: Vec::new() };
    judge.check(&documented["content"]["application/json"]["schema"], body, "", "body");
    judge.faults
}

/// What a request carries, JSON or a form, as the judge takes it.
pub fn body_of(headers: &HeaderMap, body: &[u8]) -> Option<Value> {
    let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if body.is_empty() {
        return None;
    }
    if kind.starts_with("application/x-www-form-urlencoded") {
        let pairs = query_pairs(std::str::from_utf8(body).unwrap());
        return Some(pairs.into_iter().map(|(key, value)| (key, Value::from(value))).collect());
    }
    Some(serde_json::from_slice(body).unwrap())
}

/// The keys that the document allows in the body of an operation.
pub fn body_keys(method: &str, path: &str) -> Vec<String> {
    let Some(found) = Operation::find(Version::V2, method, path) else { return Vec::new() };
    let (_, schema, name) =
        resolve(found.document, &found.says["requestBody"]["content"]["application/json"]["schema"], "");
    let schema = lies::truth(name, "").unwrap_or(schema);
    schema["properties"].as_object().map(|keys| keys.keys().cloned().collect()).unwrap_or_default()
}

/// The keys that the document allows in the query of an operation.
pub fn query_keys(method: &str, path: &str) -> Vec<String> {
    let Some(found) = Operation::find(Version::V2, method, path) else { return Vec::new() };
    found.named("query").filter_map(|parameter| parameter["name"].as_str().map(str::to_owned)).collect()
}

/// The operation that a request is, as the documents name it: method and template of the path.
pub fn operation(method: &str, path: &str) -> Option<String> {
    operation_of(Version::V2, method, path)
}

/// The same, by the documents of a version.
pub fn operation_of(version: Version, method: &str, path: &str) -> Option<String> {
    Operation::find(version, method, path).map(|found| format!("{method} {}", found.template))
}

/// The `Version` headers that the document allows for an operation; none where it has no such header.
pub fn version_headers(method: &str, path: &str) -> Vec<String> {
    let Some(found) = Operation::find(Version::V2, method, path) else { return Vec::new() };
    let header = found.named("header").filter(|header| header["name"] == "Version");
    let words = header.filter_map(|header| header["schema"]["enum"].as_array()).flatten();
    words.filter_map(|word| word.as_str().map(str::to_owned)).collect()
}

/// The scopes that an operation asks for, and the statuses of its successes.
pub fn promises(method: &str, path: &str) -> Option<(Vec<String>, Vec<String>)> {
    let found = Operation::find(Version::V2, method, path)?;
    let demands = found.says["security"].as_array().into_iter().flatten().filter_map(Value::as_object);
    let scopes = demands.flat_map(|demand| demand.values()).filter_map(Value::as_array).flatten();
    let statuses = found.says["responses"].as_object().into_iter().flatten().map(|(status, _)| status);
    Some((
        scopes.filter_map(Value::as_str).map(str::to_owned).collect(),
        statuses.filter(|status| status.starts_with('2')).cloned().collect(),
    ))
}

/// The schemas of the documents that have this name.
pub fn schemas(name: &str) -> impl Iterator<Item = &'static Value> {
    let all =
        V2.iter().chain(V3.iter()).chain([&*COMMON]).map(move |document| &document["components"]["schemas"][name]);
    all.filter(|schema| !schema.is_null())
}

fn query_pairs(query: &str) -> Vec<(String, String)> {
    let url = reqwest::Url::parse(&format!("http://localhost/?{query}")).unwrap();
    url.query_pairs().map(|(key, value)| (key.into_owned(), value.into_owned())).collect()
}

struct Operation {
    document: &'static Value,
    template: &'static str,
    says: &'static Value,
}

impl Operation {
    /// The operation of a path; a literal segment goes before a parameter, a trailing slash counts.
    fn find(version: Version, method: &str, path: &str) -> Option<Self> {
        let sent: Vec<&str> = path.split('/').collect();
        let mut found: Vec<(usize, Self)> = Vec::new();
        for document in version.documents() {
            for (template, operations) in document["paths"].as_object().into_iter().flatten() {
                let operation = &operations[method.to_lowercase()];
                if let Some(parameters) = parameters_matched(template, &sent).filter(|_| !operation.is_null()) {
                    found.push((parameters, Self { document, template, says: operation }));
                }
            }
        }
        found.into_iter().min_by_key(|(parameters, _)| *parameters).map(|(_, operation)| operation)
    }

    fn named(&self, place: &'static str) -> impl Iterator<Item = &'static Value> {
        let all = self.says["parameters"].as_array().into_iter().flatten();
        all.filter(move |parameter| parameter["in"] == place)
    }

    fn parameters(&self, place: &'static str, sent: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
        let mut judge = Judge { document: self.document, strict: true, faults: Vec::new() };
        for parameter in self.named(place) {
            let name = parameter["name"].as_str().unwrap_or_default();
            match sent(name) {
                Some(text) => judge.check(&parameter["schema"], &typed(&parameter["schema"], text), "", name),
                None if parameter["required"] == true => judge.faults.push(format!("{place} {name} is missing")),
                None => {}
            }
        }
        judge.faults
    }

    fn request_body(&self, headers: &HeaderMap, body: Option<&Value>) -> Vec<String> {
        let documented = &self.says["requestBody"];
        let Some(body) = body else {
            let missing = documented["required"] == true;
            return if missing { vec!["the body is missing".to_owned()] } else { Vec::new() };
        };
        if documented.is_null() {
            return vec!["a body where none is documented".to_owned()];
        }
        let mut judge = Judge { document: self.document, strict: true, faults: Vec::new() };
        let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default();
        match documented["content"].get(kind) {
            Some(form) => judge.check(&form["schema"], body, "", "body"),
            None => judge.faults.push(format!("content type `{kind}`")),
        }
        judge.faults
    }
}

/// How many parameters a template needed to match, if it matches.
fn parameters_matched(template: &str, sent: &[&str]) -> Option<usize> {
    let wanted: Vec<&str> = template.split('/').collect();
    let parameter = |segment: &str| segment.starts_with('{');
    let fits = |(wanted, got): (&&str, &&str)| if parameter(wanted) { !got.is_empty() } else { wanted == got };
    let matches = wanted.len() == sent.len() && wanted.iter().zip(sent).all(fits);
    matches.then(|| wanted.iter().filter(|segment| parameter(segment)).count())
}

/// The text of a query or a header as the value that its schema means.
fn typed(schema: &Value, text: String) -> Value {
    let typed = matches!(schema["type"].as_str(), Some("number" | "integer" | "boolean"));
    if typed { serde_json::from_str(&text).unwrap_or(Value::String(text)) } else { Value::String(text) }
}

/// Follows references; gives the document they led to, the schema, and the name it has there.
fn resolve<'a>(mut document: &'a Value, mut schema: &'a Value, mut name: &'a str) -> (&'a Value, &'a Value, &'a str) {
    while let Some(reference) = schema["$ref"].as_str() {
        let (file, pointer) = reference.split_once('#').unwrap_or((reference, ""));
        document = if file.is_empty() { document } else { &COMMON };
        name = reference.rsplit('/').next().unwrap_or_default();
        schema = document.pointer(pointer).unwrap_or_else(|| panic!("{reference} leads nowhere"));
    }
    (document, schema, name)
}

struct Judge {
    document: &'static Value,
    strict: bool,
    faults: Vec<String>,
}

impl Judge {
    /// Judges a value by a schema; `owner` is the name of the schema, `at` the place in the message.
    fn check(&mut self, schema: &'static Value, value: &Value, owner: &'static str, at: &str) {
        let (document, schema, name) = resolve(self.document, schema, owner);
        let before = std::mem::replace(&mut self.document, document);
        self.check_resolved(lies::truth(name, "").unwrap_or(schema), value, name, at);
        self.document = before;
    }

    fn check_resolved(&mut self, schema: &'static Value, value: &Value, name: &'static str, at: &str) {
        if value.is_null() && (schema["nullable"] == true || schema["type"].is_null()) {
            return;
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.check(part, value, name, at);
        }
        self.check_choices(schema, value, name, at);
        let fits = match schema["type"].as_str() {
            Some("string") => value.is_string(),
            Some("number") => value.is_number(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("boolean") => value.is_boolean(),
            Some("array") => value.is_array(),
            Some("object") => value.is_object(),
            _ => true,
        };
        if !fits {
            self.faults.push(format!("{at} is not of type {}", schema["type"]));
            return;
        }
        if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
            self.faults.push(format!("{at} is none of {}", schema["enum"]));
        }
        let length = value.as_str().map_or(0, |text| text.chars().count() as u64);
        if schema["maxLength"].as_u64().is_some_and(|most| length > most) {
            self.faults.push(format!("{at} is longer than {}", schema["maxLength"]));
        }
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            self.check(schema.get("items").unwrap_or(NO), item, "", &format!("{at}[{index}]"));
        }
        if value.is_object() {
            self.check_object(schema, value, name, at);
        }
    }

    /// `anyOf` and `oneOf`: one part without a fault is enough.
    fn check_choices(&mut self, schema: &'static Value, value: &Value, name: &'static str, at: &str) {
        for choices in ["anyOf", "oneOf"].iter().filter_map(|key| schema[*key].as_array()) {
            let passes = |choice: &'static Value| {
                let mut judge = Judge { document: self.document, strict: self.strict, faults: Vec::new() };
                judge.check(choice, value, name, at);
                judge.faults.is_empty()
            };
            if !choices.iter().any(passes) {
                self.faults.push(format!("{at} is none of its forms"));
            }
        }
    }

    fn check_object(&mut self, schema: &'static Value, value: &Value, name: &'static str, at: &str) {
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let missing = required.filter(|key| value.get(key).is_none());
        self.faults.extend(missing.map(|key| format!("{at}.{key} is missing")));
        if let Some(each) = schema.get("additionalProperties").filter(|each| each.is_object()) {
            // Beside them stands the trace that every answer carries.
            for (key, held) in value.as_object().into_iter().flatten().filter(|(key, _)| *key != "traceId") {
                self.check(each, held, "", &format!("{at}.{key}"));
            }
        }
        let Some(properties) = schema["properties"].as_object() else { return };
        for (key, held) in value.as_object().into_iter().flatten() {
            let place = format!("{at}.{key}");
            match lies::truth(name, key).or_else(|| properties.get(key)) {
                Some(property) => self.check(property, held, "", &place),
                None if self.strict && !lies::unlisted(name, key) => {
                    self.faults.push(format!("{place} is not documented"));
                }
                None => {}
            }
        }
    }
}
