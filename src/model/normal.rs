//! Normal forms: two spellings of one value become the same value, so that a vendor's reformatting is no edit.

use jiff::civil::Date;

use super::Value;

/// E-mail: trimmed, lower case.
pub fn email(text: &str) -> Value {
    Value::text(text.to_lowercase())
}

/// Phone: E.164 where it can be read with `region` (ISO two-letter code) as the default country, else the digits and a
/// leading plus as they stand. Full-width digits are read as digits.
pub fn phone(text: &str, region: Option<&str>) -> Value {
    let plain: String = text.chars().map(half_width).collect();
    let country = region.and_then(|region| region.parse().ok());
    let bare: String = plain.chars().filter(|c| c.is_ascii_digit() || *c == '+').collect();
    let number = [&plain, &bare].into_iter().find_map(|text| phonenumber::parse(country, text).ok());
    number.map_or(Value::text(bare), |number| Value::text(number.format().mode(phonenumber::Mode::E164).to_string()))
}

/// An E.164 number in parts: ISO country where the code has one, calling code, national number with its trunk prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhoneParts {
    /// Two letters, upper case.
    pub country: Option<String>,
    /// The calling code, without a plus.
    pub prefix: String,
    /// The national number as digits.
    pub number: String,
}

/// The parts of an E.164 number, for systems that hold them apart; `None` if it is none.
pub fn phone_parts(e164: &str) -> Option<PhoneParts> {
    let number = phonenumber::parse(None, e164).ok()?;
    let national = number.format().mode(phonenumber::Mode::National).to_string();
    Some(PhoneParts {
        country: number.country().id().map(|id| id.as_ref().to_owned()),
        prefix: number.country().code().to_string(),
        number: national.chars().filter(char::is_ascii_digit).collect(),
    })
}

fn half_width(c: char) -> char {
    match c {
        '\u{ff10}'..='\u{ff19}' => char::from(b'0' + (c as u32 - 0xff10) as u8),
        '\u{ff0b}' => '+',
        '\u{ff0d}' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{30fc}' => '-',
        '\u{3000}' => ' ',
        other => other,
    }
}

/// Country: two-letter code, upper case.
pub fn country(text: &str) -> Value {
    Value::text(text.to_uppercase())
}

/// Date of birth: `YYYY-MM-DD`, from that form, from an ISO instant, or from `DD.MM.YYYY` and `YYYY/MM/DD`.
pub fn birthday(text: &str) -> Value {
    let day = text.trim().split('T').next().unwrap_or_default();
    let read = ["%Y-%m-%d", "%Y/%m/%d", "%d.%m.%Y"].iter().find_map(|form| Date::strptime(form, day).ok());
    read.map_or_else(|| Value::text(text), |date| Value::text(date.to_string()))
}

/// One guest name into given and family name. `ja`, `ko` and `zh` write the family name first, and so does everybody who
/// writes in their letters (katakana is also for names from elsewhere, and tells nothing).
pub fn split_name(name: &str, locale: Option<&str>) -> (Value, Value) {
    let name = name.replace('\u{3000}', " ");
    let words: Vec<&str> = name.split_whitespace().collect();
    let eastern =
        |letter: char| matches!(letter, '\u{3040}'..='\u{309f}' | '\u{4e00}'..='\u{9fff}' | '\u{ac00}'..='\u{d7af}');
    let family_first = name.chars().any(eastern)
        || locale.is_some_and(|locale| ["ja", "ko", "zh"].iter().any(|tongue| locale.starts_with(tongue)));
    match words.as_slice() {
        [] => (Value::Blank, Value::Blank),
        [only] => (Value::text(only), Value::Blank),
        [family, given @ ..] if family_first => (Value::text(given.join(" ")), Value::text(family)),
        [given @ .., family] => (Value::text(given.join(" ")), Value::text(family)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("+49 151 0000000", None, "+491510000000")]
    #[case("０９０－１２３４－５６７８", Some("JP"), "+819012345678")]
    #[case("0151 23456789", Some("DE"), "+4915123456789")]
    #[case("12", None, "12")]
    fn phones_become_e164(#[case] text: &str, #[case] region: Option<&str>, #[case] expected: &str) {
        assert_eq!(phone(text, region), Value::text(expected));
    }

    #[test]
    fn what_is_left_of_a_phone_with_other_signs_in_it_is_read_again() {
        let once = phone("10\u{1d400}", Some("JP"));
        assert_eq!(phone(once.as_text().unwrap_or_default(), Some("JP")), once);
    }

    #[test]
    fn a_phone_falls_into_parts() {
        let parts = |country: &str, prefix: &str, number: &str| {
            Some(PhoneParts { country: Some(country.into()), prefix: prefix.into(), number: number.into() })
        };
        assert_eq!(phone_parts("+4915123456789"), parts("DE", "49", "015123456789"));
        assert_eq!(phone_parts("+819012345678"), parts("JP", "81", "09012345678"));
        assert_eq!(phone_parts("12"), None);
    }

    #[test]
    fn normal_forms_are_stable() {
        for text in ["+491510000000", "+819012345678", "+13105550123"] {
            assert_eq!(phone(text, None), Value::text(text));
        }
        assert_eq!(email(" Jane@Example.COM "), Value::text("jane@example.com"));
        assert_eq!(birthday("1990-05-06T00:00:00.000Z"), Value::text("1990-05-06"));
    }

    #[test]
    fn a_japanese_guest_writes_the_family_name_first() {
        assert_eq!(split_name("山田　花子", Some("ja")), (Value::text("花子"), Value::text("山田")));
        assert_eq!(split_name("山田 花子", None), (Value::text("花子"), Value::text("山田")));
        assert_eq!(split_name("김 민수", Some("en")), (Value::text("민수"), Value::text("김")));
        assert_eq!(split_name("ジョン スミス", Some("en")), (Value::text("ジョン"), Value::text("スミス")));
        assert_eq!(split_name("Mary Ann Smith", Some("en")), (Value::text("Mary Ann"), Value::text("Smith")));
        assert_eq!(split_name("Cher", None), (Value::text("Cher"), Value::Blank));
    }
}
