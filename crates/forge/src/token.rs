//! `Token`: what lets somebody write to a repository. It is shown nowhere, and knows no host: `Place` decides who gets it.

use std::fmt;

use crate::error::ForgeError;

/// A token of a forge.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Returns the token in `text`, without the white space around it. The error shows nothing of it.
    pub fn new(text: &str) -> Result<Token, ForgeError> {
        let text = text.trim();
        match text {
            "" => Err(ForgeError::Token("the token is empty".to_owned())),
            text if !text.bytes().all(|byte| byte.is_ascii_graphic()) => Err(ForgeError::Token(
                "the token has characters that no token has (white space, or not ASCII)".to_owned(),
            )),
            text => Ok(Token(text.to_owned())),
        }
    }

    /// Returns the token itself, for a header.
    pub(crate) fn secret(&self) -> &str {
        &self.0
    }

    /// Returns `text` without the token, for words that come from others.
    pub(crate) fn hidden_in(&self, text: &str) -> String {
        text.replace(&self.0, "***")
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_shown() {
        let token = Token::new(" secret-word\n").unwrap();
        assert_eq!(token.secret(), "secret-word");
        assert_eq!(format!("{token:?}"), "Token(***)");
        assert_eq!(token.hidden_in("bad secret-word here"), "bad *** here");
        for wrong in ["", " \n", "two words", "a\r\nHost: x", "é"] {
            let error = Token::new(wrong).unwrap_err().to_string();
            assert!(wrong.trim().is_empty() || !error.contains(wrong), "{error}");
        }
    }
}
