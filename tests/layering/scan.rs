//! Reads Rust source as far as the layers need it: tokens, paths, and what is compiled for tests only.

/// A word or a sign. Comments, strings and characters are no tokens; `::` is one.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    pub(crate) text: String,
    pub(crate) line: usize,
}

/// One file under `src`.
pub(crate) struct Source {
    /// Its path under `src`, with `/`.
    pub(crate) name: String,
    pub(crate) lines: usize,
    pub(crate) all: Vec<Token>,
    /// `all` without the items that are compiled for tests only.
    pub(crate) code: Vec<Token>,
    test_items: Vec<Vec<Token>>,
}

impl Source {
    pub(crate) fn new(name: &str, text: &str) -> Self {
        let all = tokens(text);
        let (code, test_items) = split_tests(&all);
        Self { name: name.into(), lines: text.lines().count(), all, code, test_items }
    }

    /// The modules that lead to the file: `["net", "tcp"]` for `net/tcp.rs`, `["net"]` for
    /// `net/mod.rs`.
    pub(crate) fn modules(&self) -> Vec<&str> {
        let name = self.name.trim_end_matches(".rs");
        name.trim_end_matches("/mod").split('/').collect()
    }

    pub(crate) fn room(&self) -> &str {
        self.modules()[0]
    }

    /// Whether the file belongs to the module at `place`, which is written like a path.
    pub(crate) fn is_in(&self, place: &str) -> bool {
        let place: Vec<_> = place.split('/').collect();
        self.modules().starts_with(&place)
    }

    /// The modules in files of their own that this one declares for tests only, written like paths.
    pub(crate) fn test_modules(&self) -> impl Iterator<Item = String> {
        let here = self.modules().join("/");
        self.test_items.iter().filter_map(move |item| {
            let at = item.iter().position(|token| token.text == "mod")?;
            let is_file = item.get(at + 2).is_some_and(|token| token.text == ";");
            is_file.then(|| format!("{here}/{}", item[at + 1].text))
        })
    }
}

/// A path in the code.
#[derive(Debug)]
pub(crate) struct Path {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    /// How many inline modules it stands in.
    pub(crate) inside: usize,
    /// Part of `pub(crate)` and the like.
    pub(crate) is_visibility: bool,
}

/// All paths, those of `use` lists taken apart.
pub(crate) fn paths(code: &[Token]) -> Vec<Path> {
    let mut found = Vec::new();
    let mut inline = Vec::new();
    let mut braces = 0;
    let mut at = 0;
    while at < code.len() {
        let text = code[at].text.as_str();
        let follows = |by: usize, sign: &str| code.get(at + by).is_some_and(|t| t.text == sign);
        match text {
            "{" => {
                braces += 1;
                if at >= 2 && code[at - 2].text == "mod" {
                    inline.push(braces);
                }
            }
            "}" => {
                if inline.last() == Some(&braces) {
                    inline.pop();
                }
                braces -= 1;
            }
            // Not the `use<'a>` of a bound.
            "use" if !follows(1, "<") => {
                at += 1;
                tree(code, &mut at, &[], inline.len(), &mut found);
                continue;
            }
            _ if is_word(text) => {
                let first = at;
                let mut segments = vec![text.to_string()];
                while at + 2 < code.len()
                    && code[at + 1].text == "::"
                    && is_word(&code[at + 2].text)
                {
                    at += 2;
                    segments.push(code[at].text.clone());
                }
                if code.get(at + 1).is_some_and(|t| t.text == "::")
                    && code.get(at + 2).is_some_and(|t| t.text == "*")
                {
                    segments.push("*".into());
                }
                let is_visibility =
                    first >= 2 && code[first - 1].text == "(" && code[first - 2].text == "pub";
                let line = code[first].line;
                found.push(Path { segments, line, inside: inline.len(), is_visibility });
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Reads one tree of a `use` list, up to the sign that ends it.
fn tree(code: &[Token], at: &mut usize, prefix: &[String], inside: usize, found: &mut Vec<Path>) {
    let mut segments = prefix.to_vec();
    let mut line = 0;
    while let Some(token) = code.get(*at) {
        match token.text.as_str() {
            "{" => {
                while code.get(*at).is_some_and(|token| matches!(token.text.as_str(), "{" | ",")) {
                    *at += 1;
                    tree(code, at, &segments, inside, found);
                }
                *at += 1;
                return;
            }
            "," | ";" | "}" => break,
            "as" => *at += 1,
            "self" if !prefix.is_empty() => line = token.line,
            "::" => {}
            text => {
                segments.push(text.to_string());
                line = token.line;
            }
        }
        *at += 1;
    }
    // A trailing comma leaves an empty tree behind.
    if line > 0 {
        found.push(Path { segments, line, inside, is_visibility: false });
    }
}

/// Divides the tokens into those of the crate and the items under a `cfg` that asks for `test`.
fn split_tests(all: &[Token]) -> (Vec<Token>, Vec<Vec<Token>>) {
    let (mut code, mut tests) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < all.len() {
        if let Some(after) = test_attribute(&all[at..]) {
            let end = at + after + item(&all[at + after..]);
            tests.push(all[at + after..end].to_vec());
            at = end;
        } else {
            code.push(all[at].clone());
            at += 1;
        }
    }
    (code, tests)
}

/// The length of `#[cfg(…)]` if it holds in tests only.
fn test_attribute(code: &[Token]) -> Option<usize> {
    let begins = ["#", "[", "cfg", "("];
    if code.len() < 6 || !code.iter().zip(begins).all(|(token, text)| token.text == text) {
        return None;
    }
    let mut at = 4;
    let holds = needs_test(code, &mut at);
    holds.then(|| at + 2)
}

/// Reads one predicate; whether it can hold in tests only.
fn needs_test(code: &[Token], at: &mut usize) -> bool {
    let name = code.get(*at).map_or("", |token| token.text.as_str());
    *at += 1;
    let mut inner = Vec::new();
    if code.get(*at).is_some_and(|token| token.text == "(") {
        while code.get(*at).is_some_and(|token| token.text != ")") {
            *at += 1;
            if code.get(*at).is_some_and(|token| token.text != ")") {
                inner.push(needs_test(code, at));
            }
        }
        *at += 1;
    }
    // The value in `feature = "x"` is a string, and no token.
    while code.get(*at).is_some_and(|token| token.text == "=") {
        *at += 1;
    }
    match name {
        "test" => true,
        "all" => inner.contains(&true),
        "any" => !inner.is_empty() && !inner.contains(&false),
        _ => false,
    }
}

/// The length of the item, field or arm that follows an attribute.
fn item(code: &[Token]) -> usize {
    const ITEMS: &[&str] =
        &["mod", "fn", "impl", "struct", "enum", "trait", "macro_rules", "extern"];
    const TO_SEMICOLON: &[&str] = &["use", "const", "static", "type", "let"];
    let mut depth = 0;
    let (mut is_item, mut to_semicolon) = (false, false);
    for (at, token) in code.iter().enumerate() {
        let text = token.text.as_str();
        match text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" if depth == 0 => return at,
            ")" | "]" | "}" => {
                depth -= 1;
                if text == "}" && depth == 0 && !to_semicolon {
                    return at + 1;
                }
            }
            ";" if depth == 0 => return at + 1,
            "," if depth == 0 && !is_item => return at + 1,
            _ if depth == 0 && !is_item => {
                is_item = ITEMS.contains(&text);
                to_semicolon |= TO_SEMICOLON.contains(&text);
                // `const fn`
                to_semicolon &= text != "fn";
            }
            _ => {}
        }
    }
    code.len()
}

fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The tokens of a text.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let get = |at: usize| chars.get(at).copied().unwrap_or('\0');
    let mut found = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < chars.len() {
        let start = at;
        match chars[at] {
            '/' if get(at + 1) == '/' => {
                while at < chars.len() && chars[at] != '\n' {
                    at += 1;
                }
            }
            '/' if get(at + 1) == '*' => at = comment_end(&chars, at),
            '"' => at = string_end(&chars, at),
            '\'' => at = quote_end(&chars, at),
            c if c.is_alphanumeric() || c == '_' => {
                while get(at).is_alphanumeric() || get(at) == '_' {
                    at += 1;
                }
                let word: String = chars[start..at].iter().collect();
                let is_prefix = matches!(word.as_str(), "r" | "b" | "br" | "c" | "cr");
                let hashes = (at..chars.len()).take_while(|&at| chars[at] == '#').count();
                if is_prefix && word.ends_with('r') && get(at + hashes) == '"' {
                    at = raw_string_end(&chars, at, hashes);
                } else if word == "r" && hashes == 1 {
                    // A raw identifier: its name follows.
                    at += 1;
                } else if !(is_prefix && matches!(get(at), '"' | '\'')) {
                    found.push(Token { text: word, line });
                }
            }
            c => {
                at += 1;
                let mut text = c.to_string();
                if c == ':' && get(at) == ':' {
                    text.push(':');
                    at += 1;
                }
                if !c.is_whitespace() {
                    found.push(Token { text, line });
                }
            }
        }
        line += chars[start..at].iter().filter(|c| **c == '\n').count();
    }
    found
}

fn comment_end(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0;
    while at < chars.len() {
        match chars[at..] {
            ['/', '*', ..] => depth += 1,
            ['*', '/', ..] => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            break;
        }
    }
    at
}

fn string_end(chars: &[char], mut at: usize) -> usize {
    at += 1;
    while at < chars.len() && chars[at] != '"' {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(chars.len())
}

fn raw_string_end(chars: &[char], mut at: usize, hashes: usize) -> usize {
    at += hashes + 1;
    while at < chars.len() {
        let closes = chars[at] == '"' && chars[at + 1..].iter().take(hashes).all(|c| *c == '#');
        at += 1;
        if closes {
            return (at + hashes).min(chars.len());
        }
    }
    at
}

/// The end of a character, or of the quote of a lifetime.
fn quote_end(chars: &[char], at: usize) -> usize {
    match chars[at + 1..] {
        ['\\', ..] => {
            let mut end = at + 3;
            while end < chars.len() && chars[end] != '\'' {
                end += 1;
            }
            (end + 1).min(chars.len())
        }
        [_, '\'', ..] => at + 3,
        _ => at + 1,
    }
}
