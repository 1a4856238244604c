//! Splitting one line into a cmdlet name and its arguments, as PowerShell's argument mode does.
//!
//! Which argument belongs to which parameter is decided later: only the table knows the switches
//! (about_Parsing, about_Quoting_Rules, about_Special_Characters).

use std::ops::Range;

use crate::error::SyntaxError;

/// One scalar of an argument.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// The text without quotes; `true` or `false` for `$true` and `$false`.
    pub text: String,
    /// `$true` or `$false`.
    pub boolean: Option<bool>,
    /// Its bytes in the line, quotes included.
    pub span: Range<usize>,
}

/// A part of the line after the cmdlet's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Token {
    /// `-Name`, or `-Name:`.
    Parameter {
        /// The name as written, without the dash and the colon.
        name: String,
        /// A colon follows: the next value belongs to it even if it is a switch.
        colon: bool,
        /// Its bytes in the line.
        span: Range<usize>,
    },
    /// A value: one scalar, or several with commas between them.
    Value {
        /// The scalars, at least one.
        items: Vec<Item>,
        /// From the first byte of the first to the last byte of the last.
        span: Range<usize>,
    },
}

/// One cmdlet as written: nothing is known yet of whether it exists.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommandLine {
    /// The cmdlet's name as written, without the module's.
    pub name: String,
    /// The bytes of the name.
    pub name_span: Range<usize>,
    /// What follows, in order.
    pub tokens: Vec<Token>,
    /// The bytes from the name to the last argument.
    pub span: Range<usize>,
}

/// Whether there is nothing on the line to run: only spaces or a comment.
#[must_use]
pub fn is_blank(line: &str) -> bool {
    let rest = line.trim_start();
    rest.is_empty() || rest.starts_with('#')
}

/// Splits a line.
///
/// # Errors
/// Anything that is not one cmdlet with constant arguments: pipelines, several statements, variables,
/// parentheses, redirections, line continuations, an open quote, a line with nothing on it.
pub fn parse(line: &str) -> Result<CommandLine, SyntaxError> {
    let mut scanner = Scanner { line, at: 0 };
    scanner.skip_blanks()?;
    if scanner.done() {
        return Err(wrong(0..line.len(), "there is no cmdlet on this line", ""));
    }
    let (name, name_span) = scanner.command_name()?;
    let mut tokens = Vec::new();
    let mut end = name_span.end;
    loop {
        scanner.skip_blanks()?;
        if scanner.done() {
            break;
        }
        let token = scanner.token()?;
        end = token.span().end;
        tokens.push(token);
    }
    if let Some(Token::Parameter { colon: true, span, name }) = tokens.last() {
        return Err(wrong(span.clone(), format!("`-{name}:` is followed by no value"), ""));
    }
    Ok(CommandLine { name, span: name_span.start..end, name_span, tokens })
}

impl Token {
    /// Its bytes in the line.
    #[must_use]
    pub const fn span(&self) -> &Range<usize> {
        match self {
            Self::Parameter { span, .. } | Self::Value { span, .. } => span,
        }
    }
}

fn wrong(span: Range<usize>, message: impl Into<String>, help: &str) -> SyntaxError {
    let help = Some(help).filter(|h| !h.is_empty()).map(str::to_owned);
    SyntaxError { span, message: message.into(), help }
}

const ONE_LINE: &str = "one line, one cmdlet: put this on its own line";
const CONSTANTS: &str = "write the value itself: a line holds one cmdlet with constant arguments";

/// PowerShell takes typographic dashes and quotes, as word processors leave them, for the plain ones.
fn plain(c: char) -> char {
    match c {
        '\u{2013}' | '\u{2014}' | '\u{2015}' => '-',
        '\u{2018}' | '\u{2019}' | '\u{201a}' | '\u{201b}' => '\'',
        '\u{201c}' | '\u{201d}' | '\u{201e}' => '"',
        other => other,
    }
}

struct Scanner<'a> {
    line: &'a str,
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<char> {
        self.line[self.at..].chars().next()
    }

    fn peek_second(&self) -> Option<char> {
        self.line[self.at..].chars().nth(1)
    }

    fn bump(&mut self) {
        self.at += self.peek().map_or(0, char::len_utf8);
    }

    /// The bytes of the next character.
    fn here(&self) -> Range<usize> {
        self.at..self.at + self.peek().map_or(0, char::len_utf8)
    }

    fn done(&self) -> bool {
        self.at == self.line.len()
    }

    /// Skips spaces and a comment, and refuses what may not begin an argument.
    fn skip_blanks(&mut self) -> Result<(), SyntaxError> {
        while self.peek().is_some_and(|c| c.is_whitespace() && c != '\n') {
            self.bump();
        }
        if self.peek() == Some('#') {
            self.at = self.line.len();
        }
        self.refuse_operator()
    }

    fn refuse_operator(&self) -> Result<(), SyntaxError> {
        let Some(c) = self.peek() else { return Ok(()) };
        let (what, help) = match c {
            '|' => ("pipelines are not available here", ONE_LINE),
            ';' => ("`;` starts a second statement", ONE_LINE),
            '\n' => ("the line ends here and more follows", ONE_LINE),
            '&' => ("`&` is not available here", ONE_LINE),
            '>' | '<' => ("redirections are not available here", "leave it out"),
            '`' => {
                ("a backtick continues or escapes", "write the cmdlet on one line, and odd names in quotes")
            }
            '(' | ')' => ("parentheses are not available here", CONSTANTS),
            '{' | '}' => ("script blocks are not available here", CONSTANTS),
            '@' => ("splatting, arrays in `@( )` and hash tables are not available here", CONSTANTS),
            _ => return Ok(()),
        };
        Err(wrong(self.here(), what, help))
    }

    fn command_name(&mut self) -> Result<(String, Range<usize>), SyntaxError> {
        let start = self.at;
        match self.peek().map(plain) {
            Some('$') => return Err(self.variable(start)),
            Some('\'' | '"' | '-' | ',') => {
                return Err(wrong(self.here(), "a line begins with the name of a cmdlet", ""));
            }
            _ => {}
        }
        let text = self.bare_word()?;
        let name = match text.split_once('\\') {
            Some((module, name)) if module.eq_ignore_ascii_case("hyper-v") => name.to_owned(),
            _ => text,
        };
        Ok((name, start..self.at))
    }

    fn token(&mut self) -> Result<Token, SyntaxError> {
        let dash = self.peek().map(plain) == Some('-');
        if dash && self.peek_second().is_some_and(|c| c.is_alphabetic() || c == '_' || c == '?') {
            return Ok(self.parameter());
        }
        let first = self.item()?;
        let mut span = first.span.clone();
        let mut items = vec![first];
        loop {
            let before = self.at;
            self.skip_blanks()?;
            if self.peek() != Some(',') {
                self.at = before;
                return Ok(Token::Value { items, span });
            }
            let comma = self.here();
            self.bump();
            self.skip_blanks()?;
            if self.done() {
                return Err(wrong(comma, "a value is missing after the comma", ""));
            }
            let item = self.item()?;
            span.end = item.span.end;
            items.push(item);
        }
    }

    fn parameter(&mut self) -> Token {
        let start = self.at;
        self.bump();
        let name_start = self.at;
        while self.peek().is_some_and(|c| !c.is_whitespace() && !"{}();,|&.[:'\"`<>".contains(c)) {
            self.bump();
        }
        let name = self.line[name_start..self.at].to_owned();
        let span = start..self.at;
        let colon = self.peek() == Some(':');
        if colon {
            self.bump();
        }
        Token::Parameter { name, colon, span }
    }

    fn item(&mut self) -> Result<Item, SyntaxError> {
        let start = self.at;
        match self.peek().map(plain) {
            Some('$') => self.constant(),
            Some(quote @ ('\'' | '"')) => {
                let text = self.quoted(quote)?;
                Ok(Item { text, boolean: None, span: start..self.at })
            }
            Some(',') => Err(wrong(self.here(), "a value is missing before the comma", "")),
            _ => {
                let text = self.bare_word()?;
                Ok(Item { text, boolean: None, span: start..self.at })
            }
        }
    }

    fn constant(&mut self) -> Result<Item, SyntaxError> {
        let start = self.at;
        self.bump();
        while self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_') {
            self.bump();
        }
        let name = self.line[start + 1..self.at].to_ascii_lowercase();
        let boolean = match name.as_str() {
            "true" => true,
            "false" => false,
            _ => return Err(self.variable(start)),
        };
        Ok(Item { text: name, boolean: Some(boolean), span: start..self.at })
    }

    /// The refusal of a variable that begins at `start`.
    fn variable(&self, start: usize) -> SyntaxError {
        let rest = &self.line[start + 1..];
        let length =
            rest.find(|c: char| !(c.is_alphanumeric() || "_:{}().".contains(c))).unwrap_or(rest.len());
        let span = start..start + 1 + length;
        let name = &self.line[span.clone()];
        wrong(span, format!("variables are not available here: `{name}`"), CONSTANTS)
    }

    /// A quoted text; a doubled quote inside stands for one.
    fn quoted(&mut self, quote: char) -> Result<String, SyntaxError> {
        let start = self.at;
        self.bump();
        let mut text = String::new();
        loop {
            let Some(c) = self.peek() else {
                return Err(wrong(start..self.line.len(), "this quote is not closed", ""));
            };
            if plain(c) == quote {
                self.bump();
                if self.peek().map(plain) != Some(quote) {
                    return Ok(text);
                }
            } else if quote == '"' && c == '$' {
                return Err(self.variable(self.at));
            } else if quote == '"' && c == '`' {
                return Err(wrong(self.here(), "a backtick escapes in double quotes", "use single quotes"));
            }
            text.push(if plain(c) == quote { quote } else { c });
            self.bump();
        }
    }

    /// An unquoted word: up to a space, a comma or an operator. Quotes inside belong to it.
    fn bare_word(&mut self) -> Result<String, SyntaxError> {
        let mut text = String::new();
        while let Some(c) = self.peek() {
            match plain(c) {
                ',' => break,
                c if c.is_whitespace() => break,
                quote @ ('\'' | '"') => text.push_str(&self.quoted(quote)?),
                '$' => return Err(self.variable(self.at)),
                '|' | ';' | '&' | '>' | '<' | '`' | '(' | ')' | '{' | '}' => {
                    self.refuse_operator()?;
                }
                _ => {
                    text.push(c);
                    self.bump();
                }
            }
        }
        Ok(text)
    }
}
