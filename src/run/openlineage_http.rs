//! Sends what a run tells of lineage to whoever wants to hear of it, by HTTP.
//!
//! Promises: nothing is sent unless `OPENLINEAGE_URL` says where to; a run is never failed for it, and waits for at most
//! five seconds an event; a redirect is not followed, so that nobody else gets to see the key; no key or password is ever
//! shown. It does not send again what was not taken: the events stay in their file.

use std::fmt;
use std::time::Duration;

use ureq::Agent;
use ureq::http::HeaderValue;
use ureq::http::header::InvalidHeaderValue;
use ureq::tls::{RootCerts, TlsConfig};
use url::Url;

/// How long one event may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where events are sent to when only a host is known.
const ENDPOINT: &str = "api/v1/lineage";

/// Whoever wants to hear of lineage.
pub struct Receiver {
    address: Url,
    key: Option<String>,
}

/// Why events were not sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Nobody knows where to.
    #[error("OPENLINEAGE_URL is not an address such as https://lineage.example: {0}")]
    Address(String),
    /// The receiver was not reached, or did not take an event.
    #[error("{address} {reason}")]
    Refused {
        /// The receiver, without a password.
        address: String,
        /// What it did.
        reason: String,
    },
}

impl Receiver {
    /// Reads the variables that other clients of OpenLineage read too: `OPENLINEAGE_URL`, `OPENLINEAGE_ENDPOINT`,
    /// `OPENLINEAGE_API_KEY` and `OPENLINEAGE_DISABLED`. Returns nothing where nobody wants to hear of lineage.
    ///
    /// # Errors
    /// If the address is none.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, SendError> {
        let given = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let is_disabled = given("OPENLINEAGE_DISABLED").is_some_and(|value| value.trim().eq_ignore_ascii_case("true"));
        let Some(url) = given("OPENLINEAGE_URL").filter(|_| !is_disabled) else { return Ok(None) };
        let endpoint = given("OPENLINEAGE_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        // Joined as others join it, so that the same variables mean the same address to all.
        let address = Url::parse(url.trim()).and_then(|base| base.join(endpoint.trim()));
        let address = address.map_err(|error| SendError::Address(error.to_string()))?;
        if !matches!(address.scheme(), "http" | "https") || !address.has_host() {
            return Err(SendError::Address("it begins with neither http:// nor https://".to_owned()));
        }
        Ok(Some(Self { address, key: given("OPENLINEAGE_API_KEY").map(|key| key.trim().to_owned()) }))
    }

    /// Sends events, one a line, until one is not taken.
    ///
    /// # Errors
    /// If the receiver is not reached, or does not take one.
    pub fn send(&self, events: &str) -> Result<(), SendError> {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let agent: Agent = Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("opsmart/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build()
            .into();
        let refused =
            |reason: String| SendError::Refused { address: self.shown(), reason: self.without_secrets(&reason) };
        let key = self.key.as_ref().map(|key| {
            let mut value = HeaderValue::try_from(format!("Bearer {key}"))?;
            // Whatever prints headers does not print this one.
            value.set_sensitive(true);
            Ok(value)
        });
        let key = key.transpose().map_err(|_: InvalidHeaderValue| {
            refused("cannot be told OPENLINEAGE_API_KEY: it has a character that no header can hold".to_owned())
        })?;
        tracing::debug!(to = self.shown(), "lineage is sent");
        for event in events.lines() {
            let mut request = agent.post(self.address.as_str()).content_type("application/json");
            if let Some(key) = &key {
                request = request.header("Authorization", key);
            }
            let answer = request.send(event).map_err(|error| refused(format!("was not reached: {error}")))?;
            if !answer.status().is_success() {
                return Err(refused(format!("answered {}", answer.status())));
            }
        }
        Ok(())
    }

    /// Returns what somebody else says without what nobody should see.
    fn without_secrets(&self, said: &str) -> String {
        let password = self.address.password();
        let secrets = [self.key.as_deref(), password, self.address.query(), self.address.fragment()];
        let secrets = secrets.into_iter().flatten().chain([self.address.username()]);
        secrets.filter(|secret| !secret.is_empty()).fold(said.to_owned(), |said, secret| said.replace(secret, "…"))
    }

    /// Returns the address without what nobody should see.
    fn shown(&self) -> String {
        let mut address = self.address.clone();
        // Neither can be refused of an address with a host.
        let _ = address.set_username("");
        let _ = address.set_password(None);
        address.set_query(None);
        address.set_fragment(None);
        address.into()
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_tuple("Receiver").field(&self.shown()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Receiver>, SendError> {
        let value =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Receiver::read(value)
    }

    fn address(variables: &[(&str, &str)]) -> String {
        read(variables).unwrap().unwrap().address.into()
    }

    #[test]
    fn an_address_is_joined_as_other_clients_join_it() {
        let to = |url, endpoint| address(&[("OPENLINEAGE_URL", url), ("OPENLINEAGE_ENDPOINT", endpoint)]);
        assert_eq!(address(&[("OPENLINEAGE_URL", "http://marquez:5000")]), "http://marquez:5000/api/v1/lineage");
        assert_eq!(to("https://host/a/", "events"), "https://host/a/events");
        assert_eq!(to("https://host/a", "events"), "https://host/events");
        assert_eq!(to(" https://host ", " "), "https://host/api/v1/lineage");
    }

    #[test]
    fn nothing_is_sent_unless_it_is_said_where_to() {
        assert!(read(&[]).unwrap().is_none());
        assert!(read(&[("OPENLINEAGE_URL", "")]).unwrap().is_none());
        assert!(read(&[("OPENLINEAGE_URL", "http://host"), ("OPENLINEAGE_DISABLED", "True")]).unwrap().is_none());
        assert!(read(&[("OPENLINEAGE_URL", "http://host"), ("OPENLINEAGE_DISABLED", "false")]).unwrap().is_some());
    }

    #[test]
    fn what_is_no_address_is_told_without_it() {
        let error = |url| read(&[("OPENLINEAGE_URL", url)]).unwrap_err().to_string();
        let is_not = "OPENLINEAGE_URL is not an address such as https://lineage.example: ";
        assert_eq!(error("marquez"), format!("{is_not}relative URL without a base"));
        assert_eq!(error("marquez:5000"), format!("{is_not}relative URL with a cannot-be-a-base base"));
        assert_eq!(error("file:///etc/passwd"), format!("{is_not}it begins with neither http:// nor https://"));
    }

    #[test]
    fn neither_key_nor_password_is_ever_shown() {
        let variables = [("OPENLINEAGE_URL", "http://me:word@127.0.0.1:1/?token=t0#f"), ("OPENLINEAGE_API_KEY", "k3y")];
        let receiver = read(&variables).unwrap().unwrap();
        assert_eq!(format!("{receiver:?}"), r#"Receiver("http://127.0.0.1:1/api/v1/lineage")"#);
        let error = receiver.send("{}").unwrap_err().to_string();
        assert!(error.starts_with("http://127.0.0.1:1/api/v1/lineage was not reached: "), "{error}");
        // A key that no header can hold.
        let odd =
            read(&[("OPENLINEAGE_URL", "http://127.0.0.1:1"), ("OPENLINEAGE_API_KEY", "k3\ny")]).unwrap().unwrap();
        let error = odd.send("{}").unwrap_err().to_string();
        assert!(!error.contains("k3"), "{error}");
    }
}
