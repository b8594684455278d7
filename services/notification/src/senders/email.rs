//! E-mail by SMTP (RFC 5321). Accepted is what the server answers by 250 after the text.

use std::sync::Arc;

use lettre::{
    AsyncSmtpTransport, AsyncTransport, Message as Mail, Tokio1Executor,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        self,
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};

use super::{
    Failure, Parcel, Verdict,
    http::{TIMEOUT, authorities},
};
use crate::settings::{Smtp, SmtpTls};

/// A way to the mail server. Cheap to clone.
#[derive(Clone)]
pub(super) struct Transport {
    smtp: Arc<AsyncSmtpTransport<Tokio1Executor>>,
    from: Mailbox,
}

impl std::fmt::Debug for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Transport").field("from", &self.from).finish_non_exhaustive()
    }
}

pub(super) fn transport(settings: &Smtp) -> Result<Transport, super::SetUpError> {
    let tls = match settings.tls {
        SmtpTls::Tls => Tls::Wrapper(encryption(&settings.host)?),
        SmtpTls::StartTls => Tls::Required(encryption(&settings.host)?),
        SmtpTls::None => Tls::None,
    };
    let builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host).tls(tls);
    let builder = builder.port(settings.port).timeout(Some(TIMEOUT));
    let builder = match &settings.credentials {
        Some((username, password)) => {
            builder.credentials(Credentials::new(username.expose().to_owned(), password.expose().to_owned()))
        }
        None => builder,
    };
    Ok(Transport { smtp: Arc::new(builder.build()), from: settings.from.clone() })
}

/// By Mozilla's list, which lettre has, and what HTTPS trusts besides: a mail server inside a network often has a certificate of the
/// network's own authority.
fn encryption(host: &str) -> Result<TlsParameters, smtp::Error> {
    let mut parameters = TlsParameters::builder(host.to_owned());
    for authority in authorities() {
        parameters = parameters.add_root_certificate(Certificate::from_der(authority.to_vec())?);
    }
    parameters.build()
}

impl Transport {
    pub(super) async fn send(&self, parcel: &Parcel) -> Result<(), Failure> {
        let to: Mailbox = parcel.target.parse().map_err(|_| Failure::never("its address cannot be read"))?;
        let domain = self.from.email.domain();
        let mail = Mail::builder()
            .from(self.from.clone())
            .to(to)
            .subject(one_line(&parcel.content.title))
            // The same for every attempt, so that a mail box can tell a repetition.
            .message_id(Some(format!("<{}@{domain}>", parcel.delivery_id)))
            .header(ContentType::TEXT_PLAIN)
            .body(parcel.content.message.clone())
            .map_err(|_| Failure::never("no mail can be made of it"))?;
        self.smtp.send(mail).await.map(drop).map_err(|error| failure(&error))
    }
}

/// A header has one line.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// The server's words may be anything, so only its code is told.
fn failure(error: &smtp::Error) -> Failure {
    let code = error.status().map(u16::from);
    let words = match code {
        Some(code) if is_of_login(code) => format!("the mail server refused the platform's login: {code}"),
        Some(code) => format!("the mail server answered {code}"),
        None if error.is_timeout() => format!("the mail server did not answer within {} s", TIMEOUT.as_secs()),
        None if error.is_tls() => "no encrypted connection to the mail server could be made".to_owned(),
        None => "no connection to the mail server could be made".to_owned(),
    };
    let is_final = error.is_permanent() && !code.is_some_and(is_of_login);
    Failure { verdict: if is_final { Verdict::Never } else { Verdict::Again }, ..Failure::again(words) }
}

/// Whether an answer is about the platform's own login (RFC 4954), which its owner can mend, and says nothing of the mail.
const fn is_of_login(code: u16) -> bool {
    matches!(code, 530 | 534 | 535 | 538)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_that_is_refused_says_nothing_of_a_mail() {
        for (code, expected) in
            [(530, true), (534, true), (535, true), (538, true), (550, false), (552, false), (454, false)]
        {
            assert_eq!(is_of_login(code), expected, "{code}");
        }
    }
}
