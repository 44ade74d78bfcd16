//! `free.largest >= 64M`: a figure, a comparison, a value.

use std::cmp::Ordering;
use std::fmt;

use super::figures::{Figure, FigureUnit, FigureValue, known_figures};
use crate::size;

/// What must hold of a figure.
#[derive(Clone, Debug)]
pub struct Assertion {
    /// As it was written, without blanks around it.
    pub text: String,
    /// The figure's name, as it was written.
    pub name: String,
    /// The figure.
    pub figure: Figure,
    /// How it is compared.
    pub comparison: Comparison,
    /// With what.
    pub value: FigureValue,
}

/// How a figure is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `==`
    Equal,
    /// `!=`
    Unequal,
    /// `>=`
    AtLeast,
    /// `>`
    More,
}

/// Why a text is no assertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AssertionError {
    /// Characters from the start, from 1.
    pub column: usize,
    /// What is wrong there.
    pub message: String,
}

impl fmt::Display for AssertionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.message)
    }
}

/// Longer signs before those that they begin with.
const COMPARISONS: [(&str, Comparison); 6] = [
    ("<=", Comparison::AtMost),
    (">=", Comparison::AtLeast),
    ("==", Comparison::Equal),
    ("!=", Comparison::Unequal),
    ("<", Comparison::Less),
    (">", Comparison::More),
];

impl Assertion {
    /// Reads an assertion.
    ///
    /// # Errors
    /// It is none; the error says where and what is known.
    pub fn parse(text: &str) -> Result<Assertion, AssertionError> {
        let at = |rest: &str| text.chars().count() - rest.chars().count() + 1;
        let wrong = |rest: &str, message: String| AssertionError { column: at(rest), message };
        let start = text.trim_start();
        let in_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        let end = start.find(|c| !in_name(c)).unwrap_or(start.len());
        let (name, after) = start.split_at(end);
        if name.is_empty() {
            return Err(wrong(
                start,
                format!("a figure is missing; there are {}", known_figures()),
            ));
        }
        let figure = Figure::find(name).ok_or_else(|| {
            wrong(start, format!("no figure is called {name}; there are {}", known_figures()))
        })?;
        let sign = after.trim_start();
        let found = COMPARISONS.iter().find(|(word, _)| sign.starts_with(word));
        let Some((word, comparison)) = found else {
            return Err(wrong(sign, "a comparison is missing: < <= == != >= >".into()));
        };
        let value = sign[word.len()..].trim_start();
        let read = read_value(value.trim_end(), figure.unit(), *comparison);
        Ok(Assertion {
            text: text.trim().into(),
            name: name.into(),
            figure,
            comparison: *comparison,
            value: read.map_err(|message| wrong(value, message))?,
        })
    }

    /// Whether it holds of a value.
    pub fn holds(&self, value: FigureValue) -> bool {
        let order = match (value, self.value) {
            (FigureValue::Number(is), FigureValue::Number(asked)) => is.cmp(&asked),
            (FigureValue::Word(is), FigureValue::Word(asked)) => is.cmp(asked),
            _ => return false,
        };
        match self.comparison {
            Comparison::Less => order == Ordering::Less,
            Comparison::AtMost => order != Ordering::Greater,
            Comparison::Equal => order == Ordering::Equal,
            Comparison::Unequal => order != Ordering::Equal,
            Comparison::AtLeast => order != Ordering::Less,
            Comparison::More => order == Ordering::Greater,
        }
    }
}

fn read_value(text: &str, unit: FigureUnit, comparison: Comparison) -> Result<FigureValue, String> {
    if text.is_empty() {
        return Err("a value is missing".into());
    }
    match unit {
        FigureUnit::Bytes => size::parse(text).map(FigureValue::Number),
        FigureUnit::Count => match text.parse() {
            Ok(number) => Ok(FigureValue::Number(number)),
            Err(_) => Err(format!("{text} is no count; write a whole number")),
        },
        FigureUnit::Percent => tenths(text)
            .map(FigureValue::Number)
            .ok_or_else(|| format!("{text} is no percentage; write 90 or 12.5")),
        FigureUnit::Word(_) if !matches!(comparison, Comparison::Equal | Comparison::Unequal) => {
            Err("a word is compared with == or !=".into())
        }
        FigureUnit::Word(words) => words
            .iter()
            .find(|word| **word == text)
            .map(|word| FigureValue::Word(word))
            .ok_or_else(|| format!("{text} is none of {}", words.join(", "))),
    }
}

/// `90`, `12.5`, `90 %` in tenths.
fn tenths(text: &str) -> Option<u64> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    let (whole, tenth) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if tenth.len() != 1 || !digits(whole) || !digits(tenth) {
        return None;
    }
    whole.parse::<u64>().ok()?.checked_mul(10)?.checked_add(tenth.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn assertions_as_people_write_them() {
        let cases = [
            ("free.largest >= 64M", FigureValue::Number(64 << 20)),
            ("free.largest>=64M", FigureValue::Number(64 << 20)),
            (" summary.free.size < 0x1000 ", FigureValue::Number(0x1000)),
            ("kinds.heap.committed <= 1.5GiB", FigureValue::Number(3 << 29)),
            ("managed-heap.size == 0", FigureValue::Number(0)),
            ("dump.threads < 500", FigureValue::Number(500)),
            ("free.fragmentation < 12.5%", FigureValue::Number(125)),
            ("free.fragmentation < 90", FigureValue::Number(900)),
            ("verdict != exhausted", FigureValue::Word("exhausted")),
        ];
        for (text, value) in cases {
            let assertion = Assertion::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(assertion.value, value, "{text}");
            assert_eq!(assertion.text, text.trim());
        }
    }

    #[test]
    fn mistakes_have_a_column() {
        let cases = [
            ("", 1, "a figure is missing; there are free.{size,"),
            ("  fre.largest > 1", 3, "no figure is called fre.largest; there are free.{size,"),
            ("heap.colour > 1", 1, "no figure is called heap.colour"),
            ("kinds.total.size > 1", 1, "no figure is called kinds.total.size"),
            ("free.largest", 13, "a comparison is missing: < <= == != >= >"),
            ("free.largest = 1", 14, "a comparison is missing"),
            ("free.largest > ", 16, "a value is missing"),
            ("free.largest > big", 16, "big is no size; write 64M"),
            ("dump.threads > 1K", 16, "1K is no count; write a whole number"),
            ("free.fragmentation > 1.25", 22, "1.25 is no percentage"),
            ("verdict < none", 11, "a word is compared with == or !="),
            ("verdict == bad", 12, "bad is none of exhausted, fragmented"),
        ];
        for (text, column, message) in cases {
            let error = Assertion::parse(text).unwrap_err();
            assert_eq!(error.column, column, "{text}: {error}");
            assert!(error.message.starts_with(message), "{text}: {error}");
        }
    }

    #[test]
    fn comparisons_compare() {
        let holds = |sign: &str, is: u64| {
            let assertion = Assertion::parse(&format!("dump.threads {sign} 5")).unwrap();
            assertion.holds(FigureValue::Number(is))
        };
        let all = |sign: &str| [4, 5, 6].map(|is| holds(sign, is));
        assert_eq!(all("<"), [true, false, false]);
        assert_eq!(all("<="), [true, true, false]);
        assert_eq!(all("=="), [false, true, false]);
        assert_eq!(all("!="), [true, false, true]);
        assert_eq!(all(">="), [false, true, true]);
        assert_eq!(all(">"), [false, false, true]);
    }
}
