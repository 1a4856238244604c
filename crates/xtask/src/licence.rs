//! Licence expressions of packages: whether a list of accepted licences permits one.

use anyhow::{Result, bail};

/// Whether `expression` (SPDX, or the older `MIT/Apache-2.0`) can be met with `accepted` licences alone.
pub(crate) fn permitted(expression: &str, accepted: &[String]) -> Result<bool> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader { words: &words, accepted };
    let answer = reader.any()?;
    if !reader.words.is_empty() {
        bail!("licence expression `{expression}`: `{}` is one word too many", reader.words[0]);
    }
    Ok(answer)
}

struct Reader<'a> {
    words: &'a [&'a str],
    accepted: &'a [String],
}

impl Reader<'_> {
    /// `a OR b`: one side is enough.
    fn any(&mut self) -> Result<bool> {
        let mut answer = self.all()?;
        while self.skip("OR") {
            answer |= self.all()?;
        }
        Ok(answer)
    }

    /// `a AND b`: both are needed; binds tighter than OR.
    fn all(&mut self) -> Result<bool> {
        let mut answer = self.one()?;
        while self.skip("AND") {
            answer &= self.one()?;
        }
        Ok(answer)
    }

    fn one(&mut self) -> Result<bool> {
        if self.skip("(") {
            let answer = self.any()?;
            if !self.skip(")") {
                bail!("licence expression: a `)` is missing");
            }
            return Ok(answer);
        }
        let [name, rest @ ..] = self.words else {
            bail!("licence expression: it ends where a licence should stand")
        };
        self.words = rest;
        if self.skip("WITH") {
            let [exception, rest @ ..] = self.words else {
                bail!("licence expression: no exception after WITH")
            };
            self.words = rest;
            return Ok(self.accepts(name) || self.accepts(&format!("{name} WITH {exception}")));
        }
        Ok(self.accepts(name))
    }

    fn accepts(&self, name: &str) -> bool {
        self.accepted.iter().any(|accepted| accepted == name)
    }

    fn skip(&mut self, word: &str) -> bool {
        let [first, rest @ ..] = self.words else { return false };
        if *first != word {
            return false;
        }
        self.words = rest;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::permitted;

    fn ok(expression: &str) -> bool {
        let accepted = ["MIT", "ISC", "Unicode-3.0"].map(str::to_owned);
        permitted(expression, &accepted).unwrap()
    }

    #[test]
    fn one_accepted_side_of_or_is_enough() {
        assert!(ok("GPL-3.0 OR MIT"));
        assert!(ok("MIT/Apache-2.0"));
        assert!(!ok("GPL-3.0 OR Apache-2.0"));
    }

    #[test]
    fn both_sides_of_and_are_needed() {
        assert!(ok("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(!ok("MIT AND GPL-3.0"));
        assert!(ok("GPL-3.0 AND Apache-2.0 OR ISC"));
    }

    #[test]
    fn an_exception_only_adds_to_what_the_licence_permits() {
        assert!(ok("MIT WITH LLVM-exception"));
        assert!(!ok("Apache-2.0 WITH LLVM-exception"));
    }

    #[test]
    fn nonsense_is_an_error_and_no_permission() {
        for expression in ["", "MIT MIT", "(MIT", "MIT OR"] {
            assert!(permitted(expression, &["MIT".to_owned()]).is_err(), "{expression}");
        }
    }
}
