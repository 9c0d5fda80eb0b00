//! What to do about a tool that is not there.

/// What to install for a tool, as it is called in the PATH or by a path.
pub(super) fn help(tool: &str) -> String {
    let name = tool.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or(tool);
    let package = |package: &str| format!("install it (the package `{package}` of most systems)");
    let what = match name {
        "cargo" | "rustc" | "rustup" | "rustdoc" => {
            "install Rust's toolchain (https://rustup.rs) for the user that runs tidegate".to_owned()
        }
        "cargo-clippy" | "clippy-driver" => "install it: `rustup component add clippy`".to_owned(),
        "cargo-fmt" | "rustfmt" => "install it: `rustup component add rustfmt`".to_owned(),
        _ if name.starts_with("cargo-") => format!("install it: `cargo install {name} --locked`"),
        "npm" | "npx" | "node" => "install Node.js (https://nodejs.org)".to_owned(),
        "pnpm" | "yarn" => format!("install it: `npm install -g {name}`"),
        "python3" | "python" => package("python3"),
        "pip" | "pip3" => package("python3-pip"),
        "uv" | "pytest" | "ruff" | "mypy" | "tox" | "poetry" => format!("install it: `pipx install {name}`"),
        "go" | "gofmt" => "install Go (https://go.dev)".to_owned(),
        "docker" | "podman" => {
            format!("install it, and let the user that runs tidegate use it: `{name} info` must work")
        }
        "cc" | "gcc" | "ld" => package("gcc"),
        "psql" | "pg_dump" | "pg_restore" | "pg_dumpall" | "createdb" | "dropdb" => {
            package("postgresql-client")
        }
        "initdb" | "postgres" | "pg_ctl" => package("postgresql"),
        "sqlite3" | "rsync" | "curl" | "wget" | "git" | "make" | "jq" | "cmake" | "pkg-config" | "unzip"
        | "zip" | "tar" => package(name),
        "ssh" | "scp" | "sftp" => package("openssh-client"),
        "sqlx" => "install it: `cargo install sqlx-cli --locked`".to_owned(),
        "systemctl" => return "this machine has no systemd: start the service in another way".to_owned(),
        _ => "install it".to_owned(),
    };
    format!("{what}, or put its folder into the PATH of tidegate or the `env` of the pipeline")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_tools_have_their_own_way() {
        for (tool, way) in [
            ("cargo", "rustup.rs"),
            ("cargo-clippy", "rustup component add clippy"),
            ("cargo-deny", "cargo install cargo-deny --locked"),
            ("/usr/bin/pg_dump", "postgresql-client"),
            ("no-such-tool", "PATH of tidegate"),
        ] {
            assert!(help(tool).contains(way), "{tool}: {}", help(tool));
        }
    }
}
