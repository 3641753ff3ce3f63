//! Random changes to inputs that are known: of bytes, and of the JSON within.

use serde_json::{Map, Value, json};

/// What readers trip over.
const PIECES: &[&str] = &[
    "null",
    "{}",
    "[]",
    "\"\"",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "\0",
    "\n",
    "\r\n\r\n",
    "-1",
    "0",
    "9223372036854775808",
    "-9223372036854775809",
    "1e400",
    "1.5",
    "true",
    "2026-02-30T25:61:61Z",
    "+275760-09-13T00:00:00Z",
    "1970-01-01",
    "9999-12-31T23:59:60+23:59",
    "0000-00-00",
    "+1",
    "++++",
    "\u{feff}",
    "\u{202e}",
    "İ",
    "[[[[[[[[",
    "{\"a\":",
];

/// How deep a value that is put in may nest.
const DEEP: usize = 200;

/// Changes inputs.
pub struct Mutator {
    rng: fastrand::Rng,
    known: Vec<Vec<u8>>,
}

impl Mutator {
    pub fn new(seed: u64, known: Vec<Vec<u8>>) -> Self {
        Self { rng: fastrand::Rng::with_seed(seed), known }
    }

    /// A known input with some changes.
    pub fn next(&mut self) -> Vec<u8> {
        let mut input = self.any();
        for _ in 0..self.rng.usize(1..=4) {
            if self.rng.bool() { self.change_json(&mut input) } else { self.change_bytes(&mut input) }
        }
        input
    }

    fn any(&mut self) -> Vec<u8> {
        let at = self.rng.usize(..self.known.len());
        self.known[at].clone()
    }

    fn change_bytes(&mut self, input: &mut Vec<u8>) {
        let at = self.rng.usize(..=input.len());
        let end = (at + self.rng.usize(..16)).min(input.len());
        match self.rng.u8(..6) {
            0 if at < input.len() => input[at] ^= 1 << self.rng.u8(..8),
            1 => drop(input.drain(at..end)),
            2 => input.truncate(at),
            3 => {
                let again = input[at..end].to_vec();
                drop(input.splice(at..at, again));
            }
            4 => {
                let other = self.any();
                let from = self.rng.usize(..=other.len());
                let to = (from + self.rng.usize(..64)).min(other.len());
                drop(input.splice(at..end, other[from..to].iter().copied()));
            }
            _ => {
                let piece = PIECES[self.rng.usize(..PIECES.len())];
                drop(input.splice(at..end, piece.bytes()));
            }
        }
    }

    /// Changes one value of the JSON at the end of an input, if there is any.
    fn change_json(&mut self, input: &mut Vec<u8>) {
        let Some(begin) = input.iter().position(|byte| matches!(byte, b'{' | b'[')) else { return };
        let Ok(mut json) = serde_json::from_slice::<Value>(&input[begin..]) else { return };
        self.change_value(&mut json);
        input.truncate(begin);
        input.extend(json.to_string().into_bytes());
    }

    fn change_value(&mut self, json: &mut Value) {
        let deeper = self.rng.u8(..8) > 0;
        match json {
            Value::Object(map) if deeper && !map.is_empty() => {
                let key = map.keys().nth(self.rng.usize(..map.len())).cloned().unwrap();
                match self.rng.u8(..10) {
                    0 => drop(map.remove(&key)),
                    1 => {
                        let value = map[&key].clone();
                        map.insert(format!("{key} "), value);
                    }
                    _ => self.change_value(&mut map[&key]),
                }
            }
            Value::Array(list) if deeper && !list.is_empty() => {
                let at = self.rng.usize(..list.len());
                if self.rng.u8(..6) == 0 {
                    let again = list[at].clone();
                    list.push(again);
                } else {
                    self.change_value(&mut list[at]);
                }
            }
            other => *other = self.value(),
        }
    }

    fn value(&mut self) -> Value {
        match self.rng.u8(..12) {
            0 => Value::Null,
            1 => json!(self.rng.bool()),
            2 => json!(self.rng.i64(..)),
            3 => json!(self.rng.i32(-2..3)),
            4 => json!(self.rng.f64() * 1e300),
            5 => json!([]),
            6 => Value::Object(Map::new()),
            7 => json!("x".repeat(self.rng.usize(..2_000))),
            8 => (0..self.rng.usize(..DEEP)).fold(Value::Null, |inner, _| json!([inner])),
            9 => json!({ "id": self.rng.u64(..).to_string(), "value": [self.rng.u8(..), null] }),
            _ => json!(PIECES[self.rng.usize(..PIECES.len())]),
        }
    }
}
