//! Text from outside that tries to be more than text, in every place where such text comes in.

use super::{opened, url};
use crate::whole::world::World;

/// Markup, a script, quotes, a control sequence, a name from right to left, and a line that would not end.
const BAD: &str = "<img src=x onerror=window.hacked=1>\"'><script>window.hacked=1</script> \u{202e}\u{5e9}\u{5dc}\u{5d5}\u{5dd}";

fn hostile_version(world: &mut World) {
    let log = "printf '\\033[1;31mred\\033[0m <img src=x onerror=window.hacked=1> \\033]0;title\\007\\033[2J\\r\\n'; \
               printf '{\"kind\":\"annotation\",\"level\":\"error\",\"file\":\"<b>a</b>\",\"line\":1,\"message\":\"<img src=x onerror=window.hacked=1>\"}\\n' >> \"$TIDEGATE_EVENTS\"; \
               printf '{\"kind\":\"output\",\"key\":\"<i>k</i>\",\"value\":\"<img src=x onerror=window.hacked=1>\"}\\n' >> \"$TIDEGATE_EVENTS\"; \
               head -c 3000 /dev/zero | tr '\\0' x; mkdir -p out; echo x > 'out/<b>.txt'; echo x > out/shop\n";
    world.commit("2.0.0", &[("build.sh", log)]);
    let done = std::process::Command::new("git")
        .args(["-c", "user.name=\"><img src=x onerror=window.hacked=1>", "-c", "user.email=a@example.org"])
        .args(["commit", "-q", "--amend", "--allow-empty", "--reset-author", "-m", BAD])
        .current_dir(world.path("work"))
        .status();
    assert!(done.expect("git runs").success());
    world.git("work", &["push", "origin", "main"]);
    world.wait("promote_complete", &[("tier", "stage"), ("version", "2.0.0")]);
}

#[test]
fn text_from_outside_stays_text_on_every_page() {
    let Some((mut world, browser)) = opened() else { return };
    hostile_version(&mut world);
    world.good(&["hold", "shop", "prod", "--why", BAD]);
    world.wait("hold_set", &[("tier", "prod")]);
    let run =
        world.heard.iter().rfind(|event| event["kind"] == "step_done").expect("a step")["run_id"].clone();
    std::fs::write(
        world.path("pipelines/<img src=x onerror=window.hacked=1>.toml"),
        "name = \"<script>\"\n[[[\n",
    )
    .expect("written");
    world.wait("pipeline_rejected", &[]);
    let pages = [
        ("/".to_owned(), "shop"),
        ("/ui/pipelines/shop".to_owned(), "onerror=window.hacked=1>"),
        ("/ui/pipelines/shop/versions/2.0.0".to_owned(), "<script>window.hacked=1</script>"),
        (format!("/ui/runs/{run}"), "<img src=x onerror=window.hacked=1>"),
        ("/ui/waiting".to_owned(), "held by"),
        ("/ui/history".to_owned(), "<script>window.hacked=1</script>"),
        ("/ui/audit".to_owned(), "<script>window.hacked=1</script>"),
        ("/ui/definitions".to_owned(), "onerror=window.hacked=1>.toml is refused"),
        (
            "/ui/pipelines/shop/compare?from=prod&to=%3Cimg%20src%3Dx%20onerror%3Dwindow.hacked%3D1%3E"
                .to_owned(),
            "Compare",
        ),
    ];
    for (path, text) in &pages {
        browser.go(&url(&world, path));
        browser.reads(text);
        assert_eq!(browser.value("String(window.hacked)"), "undefined", "{path}");
        let made = "document.querySelectorAll('main img, main script, main b > script, main iframe, main [onerror]').length";
        assert_eq!(browser.value(made), 0, "{path}");
        let complaints: Vec<String> =
            browser.complaints().into_iter().filter(|one| !one.contains("status of 4")).collect();
        assert_eq!(complaints, Vec::<String>::new(), "{path}");
    }
    // Colours of a log are shown, its other sequences are not obeyed, and what turns a line around is seen.
    browser.go(&url(&world, &format!("/ui/runs/{run}")));
    browser.until("document.querySelector('.log-text .f1')?.textContent === 'red'");
    assert_eq!(
        browser.value("document.querySelector('.log-line .log-text').textContent"),
        "red <img src=x onerror=window.hacked=1> "
    );
    assert_eq!(browser.value("document.title.includes('title')"), false);
}
