//! The text of the hook: plain POSIX sh, the same for every shell and system.

use super::super::error::{Error, io};
use super::{EARLIER, HookSettings};
use std::path::Path;

/// Second line of every hook of ours.
const MARK: &str = "# Made by `tidegate hook install`; `tidegate hook uninstall` takes it away.";

/// What follows the settings. Names of refs stay on stdin or in JSON, they are never part of a command.
const BODY: &str = r#"
here=${0%/*}
earlier=0
updates=
if [ -x "$here/$before" ]; then
	updates=$(cat)
	printf '%s\n' "$updates" | "$here/$before" "$@"
	earlier=$?
fi

# A folder of hooks may serve several repositories; this one speaks for one.
[ "$(cd "${GIT_DIR:-.}" && pwd -P)" = "$repo" ] || exit "$earlier"

bounded() {
	if command -v timeout >/dev/null 2>&1; then timeout 5 "$@"; else "$@"; fi
}

# Text as a JSON string, and then as a quoted value of curl's configuration.
json() { printf '%s' "$1" | sed 's/[\\"]/\\&/g'; }

by_curl() {
	{
		first=1
		printf '%s\n' "$updates" | while IFS=' ' read -r old new ref; do
			case $new in '' | *[!0-9a-f]*) continue ;; esac
			case $new in *[!0]*) ;; *) continue ;; esac
			[ "$first" = 1 ] || printf 'next\n'
			first=0
			body="{\"sha\":\"$new\",\"old\":\"$old\",\"ref\":\"$(json "$ref")\",\"repo\":\"$(json "$repo")\""
			[ -z "$pipeline" ] || body="$body,\"pipeline\":\"$(json "$pipeline")\""
			printf 'url = "%s/rebuild"\n' "$(json "$url")"
			printf 'header = "Authorization: Bearer %s"\n' "$(json "$(cat "$token")")"
			printf 'header = "Content-Type: application/json"\n'
			printf 'data = "%s"\n' "$(json "$body}")"
			printf 'silent\nfail\noutput = /dev/null\nconnect-timeout = 2\nmax-time = 5\n'
		done
	} | bounded curl --config -
}

if [ -x "$tidegate" ]; then
	set -- hook notify --repo "$repo" --url "$url" --token-file "$token"
	[ -z "$pipeline" ] || set -- "$@" --pipeline "$pipeline"
	# It bounds its own time.
	if [ -n "$updates" ]; then printf '%s\n' "$updates" | "$tidegate" "$@"; else "$tidegate" "$@"; fi ||
		echo "tidegate: not told; the push is stored, see $url" >&2
elif command -v curl >/dev/null 2>&1; then
	[ -n "$updates" ] || updates=$(cat)
	by_curl || echo "tidegate: not told; the push is stored, see $url" >&2
else
	echo "tidegate: not told: neither $tidegate nor curl is there; the push is stored" >&2
fi
exit "$earlier"
"#;

/// The hook of one repository.
pub(super) fn write(git_dir: &Path, settings: &HookSettings) -> Result<String, Error> {
    let mut text = format!("#!/bin/sh\n{MARK}\n");
    // A hook runs in the repository, not where it was installed from.
    let whole = |path: &Path| std::path::absolute(path).map_err(io("find", path));
    let (token, tidegate) = (whole(&settings.token_file)?, whole(&settings.tidegate_binary)?);
    let values = [
        ("repo", plain("the repository's path", git_dir.to_str())?),
        ("url", plain("the URL", Some(&settings.url))?.trim_end_matches('/')),
        ("token", plain("the token's path", token.to_str())?),
        ("tidegate", plain("the program's path", tidegate.to_str())?),
        ("pipeline", plain("the pipeline's name", Some(settings.pipeline.as_deref().unwrap_or_default()))?),
        ("before", EARLIER),
    ];
    for (name, value) in values {
        text.push_str(&format!("{name}={}\n", quote(value)));
    }
    text.push_str(BODY);
    Ok(text)
}

/// The settings that a hook of ours was written with.
pub(super) fn read(text: &str) -> HookSettings {
    let value = |name: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        unquote(found.unwrap_or_default())
    };
    HookSettings {
        url: value("url"),
        token_file: value("token").into(),
        tidegate_binary: value("tidegate").into(),
        pipeline: Some(value("pipeline")).filter(|name| !name.is_empty()),
    }
}

/// What [`quote`] was given.
fn unquote(word: &str) -> String {
    let inner = word.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')).unwrap_or(word);
    inner.replace(r"'\''", "'")
}

/// Whether the text is a hook of ours, of this release or another.
pub(super) fn is_ours(bytes: &[u8]) -> bool {
    bytes.split(|&byte| byte == b'\n').nth(1) == Some(MARK.as_bytes())
}

/// Whether a hook of ours is for this repository.
pub(super) fn serves(bytes: &[u8], git_dir: &Path) -> bool {
    let line = git_dir.to_str().map(|path| format!("repo={}", quote(path)));
    line.is_some_and(|line| bytes.split(|&byte| byte == b'\n').any(|other| other == line.as_bytes()))
}

fn plain<'a>(setting: &'static str, text: Option<&'a str>) -> Result<&'a str, Error> {
    text.filter(|text| !text.chars().any(char::is_control)).ok_or(Error::BadHookSetting { setting })
}

/// The text as one word of a shell.
pub(crate) fn quote(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
