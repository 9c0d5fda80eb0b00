//! The URL of a PostgreSQL server, as far as our own calls of its programs need it: they get all of it by their
//! environment, because everybody on the machine can read their arguments.

use std::ffi::OsString;

/// Parameters of the URL and what they are called in the environment.
const PARAMETERS: [(&str, &str); 21] = [
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("passfile", "PGPASSFILE"),
    ("dbname", "PGDATABASE"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("sslcrl", "PGSSLCRL"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("options", "PGOPTIONS"),
    ("application_name", "PGAPPNAME"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("gssencmode", "PGGSSENCMODE"),
    ("krbsrvname", "PGKRBSRVNAME"),
    ("requirepeer", "PGREQUIREPEER"),
    ("client_encoding", "PGCLIENTENCODING"),
];

/// Variables that would lead elsewhere than the URL says.
pub(super) const MISLEADING: [&str; 9] = [
    "PGHOST",
    "PGHOSTADDR",
    "PGPORT",
    "PGUSER",
    "PGPASSWORD",
    "PGDATABASE",
    "PGSERVICE",
    "PGSERVICEFILE",
    "PGOPTIONS",
];

/// A server.
#[derive(Debug, PartialEq)]
pub(super) struct Server {
    /// How its programs are told where it is; the database is left out.
    pub(super) env: Vec<(&'static str, String)>,
    /// The database to be in while another is made.
    pub(super) maintenance: String,
    before: String,
    after: String,
}

impl Server {
    /// The error reads after "failed to" and holds no password.
    pub(super) fn of_url(url: &str) -> Result<Server, String> {
        let bad = |why: &str| format!("read the URL of the server in `server`: {why}");
        let scheme = ["postgres://", "postgresql://"].into_iter().find(|scheme| url.starts_with(scheme));
        let scheme = scheme.ok_or_else(|| bad("it does not begin with `postgres://`"))?;
        let rest = &url[scheme.len()..];
        let (main, query) = rest.split_once('?').map_or((rest, None), |(main, query)| (main, Some(query)));
        let (authority, path) = main.split_once('/').unwrap_or((main, ""));
        let mut env = Vec::new();
        let mut set = |name: &'static str, value: &str| -> Result<(), String> {
            let value = decoded(value).ok_or_else(|| bad("a `%` in it is not followed by two hex digits"))?;
            env.retain(|(other, _)| *other != name);
            if !value.is_empty() {
                env.push((name, value));
            }
            Ok(())
        };
        let (who, hosts) = authority.rsplit_once('@').map_or(("", authority), |(who, hosts)| (who, hosts));
        let (user, password) = who.split_once(':').unwrap_or((who, ""));
        set("PGUSER", user)?;
        set("PGPASSWORD", password)?;
        let split: Vec<(&str, &str)> = hosts.split(',').map(host_and_port).collect();
        let joined = |each: fn(&(&str, &str)) -> String| split.iter().map(each).collect::<Vec<_>>().join(",");
        set("PGHOST", &joined(|(host, _)| (*host).to_owned()))?;
        if split.iter().any(|(_, port)| !port.is_empty()) {
            set("PGPORT", &joined(|(_, port)| (*port).to_owned()))?;
        }
        set("PGDATABASE", path)?;
        for pair in query.into_iter().flat_map(|query| query.split('&')).filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let known = PARAMETERS.into_iter().find(|(parameter, _)| *parameter == name);
            let (_, variable) = known.ok_or_else(|| bad(&format!("the parameter `{name}` is not known")))?;
            set(variable, value)?;
        }
        let database = env.iter().position(|(name, _)| *name == "PGDATABASE").map(|at| env.remove(at).1);
        let kept = query.into_iter().flat_map(|query| query.split('&'));
        let kept: Vec<&str> = kept.filter(|pair| !pair.is_empty() && !pair.starts_with("dbname=")).collect();
        Ok(Server {
            env,
            maintenance: database.unwrap_or_else(|| "postgres".into()),
            before: format!("{scheme}{authority}/"),
            after: if kept.is_empty() { String::new() } else { format!("?{}", kept.join("&")) },
        })
    }

    /// The URL of a database of the server; the name holds nothing that means something in a URL.
    pub(super) fn url(&self, database: &str) -> OsString {
        format!("{}{database}{}", self.before, self.after).into()
    }
}

/// An address of IPv6 stands in brackets, which are no part of it.
fn host_and_port(text: &str) -> (&str, &str) {
    match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, rest)) => (host, rest.strip_prefix(':').unwrap_or("")),
        None => text.split_once(':').unwrap_or((text, "")),
    }
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = after;
            continue;
        }
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok())?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_but_the_database_goes_into_the_environment() {
        let server =
            Server::of_url("postgres://ci:p%40ss%2f@db.internal:6432/admin?sslmode=require").unwrap();
        let expected = [
            ("PGUSER", "ci"),
            ("PGPASSWORD", "p@ss/"),
            ("PGHOST", "db.internal"),
            ("PGPORT", "6432"),
            ("PGSSLMODE", "require"),
        ];
        assert_eq!(server.env, expected.map(|(name, value)| (name, value.to_owned())));
        assert_eq!(server.maintenance, "admin");
        assert_eq!(server.url("x"), "postgres://ci:p%40ss%2f@db.internal:6432/x?sslmode=require");
    }

    #[test]
    fn sockets_several_hosts_and_little_said_are_read() {
        let socket = Server::of_url("postgresql://postgres@/?host=/run/pg&dbname=a").unwrap();
        assert_eq!(socket.env, [("PGUSER", "postgres".into()), ("PGHOST", "/run/pg".to_owned())]);
        assert_eq!(socket.maintenance, "a");
        assert_eq!(socket.url("x"), "postgresql://postgres@/x?host=/run/pg");
        let several = Server::of_url("postgres://a:1,[::1]:2").unwrap();
        assert_eq!(several.env, [("PGHOST", "a,::1".to_owned()), ("PGPORT", "1,2".into())]);
        assert_eq!(several.url("x"), "postgres://a:1,[::1]:2/x");
        let least = Server::of_url("postgres://").unwrap();
        assert!(least.env.is_empty());
        assert_eq!((least.maintenance.as_str(), least.url("x")), ("postgres", "postgres:///x".into()));
    }

    #[test]
    fn what_is_not_understood_is_refused_and_no_password_is_shown() {
        for bad in ["mysql://u:hunter2@h/d", "postgres://u:hunter2%@h", "postgres://u:hunter2@h?nope=1"] {
            let why = Server::of_url(bad).unwrap_err();
            assert!(why.starts_with("read the URL") && !why.contains("hunter2"), "{why}");
        }
    }
}
