//! Rule 12: whose word counts, how long, and what makes it void.

use super::world::*;
use chrono::TimeDelta;
use tidegate::domain::pipeline::*;
use tidegate::domain::*;

/// A tier that wants so many words, with more to say about whose.
fn prod(count: u32, more: impl FnOnce(&mut Confirm)) -> Tier {
    tier("prod").confirmed_by(count).with(|t| more(t.promote.confirm.as_mut().unwrap()))
}

fn confirm(version: &str) -> Deed {
    Deed::Confirm { tier: "prod".into(), version: version.into() }
}

fn deny(version: &str) -> Deed {
    Deed::Deny { tier: "prod".into(), version: version.into() }
}

/// How many words a version has and needs.
fn have(w: &World, version: &str) -> Option<(u32, u32)> {
    let tier = w.shop().tier_in_force(&"prod".into()).unwrap();
    let all = promotion::blockers(w.shop(), tier, &version.into(), w.now);
    all.iter().find_map(|blocker| match blocker {
        Blocker::ConfirmMissing { have, need } => Some((*have, *need)),
        _ => None,
    })
}

#[test]
fn rule_12_roles_mean_at_least() {
    let mut w = World::with(shop([tier("host"), prod(1, |rule| rule.roles = vec![Role::Admin])]));
    w.push("c1");
    assert_eq!(w.deed(confirm("1.0.1")), Err(Rejection::RoleMissing(Role::Admin)));
    w.deed_of(&actor("root", Role::Admin), confirm("1.0.1")).unwrap();
    assert_eq!(w.current("prod"), "1.0.1");

    // Of several one is enough; and what is done by hand takes an operator in any case.
    let several = |rule: &mut Confirm| rule.roles = vec![Role::Admin, Role::Operator, Role::Viewer];
    let mut w = World::with(shop([tier("host"), prod(1, several)]));
    w.push("c1");
    let eve = actor("eve", Role::Trigger);
    assert_eq!(w.deed_of(&eve, confirm("1.0.1")), Err(Rejection::RoleMissing(Role::Operator)));
    w.deed(confirm("1.0.1")).unwrap();
    assert_eq!(w.current("prod"), "1.0.1");
}

#[test]
fn rule_12_two_tokens_of_one_address_are_one_person() {
    let mut w = World::with(shop([tier("host"), prod(2, |_| {})]));
    w.push("c1");
    assert_eq!(w.deed_of(&person("bob"), confirm("1.0.1")), Ok(Answer::Done));
    let phone = Actor { email: Some("BOB@example.org".into()), ..actor("bobs-phone", Role::Admin) };
    assert_eq!(w.deed_of(&phone, confirm("1.0.1")), Ok(Answer::Already));
    let renewed = Actor { email: Some("robert@example.org".into()), ..actor("bob", Role::Operator) };
    assert_eq!(
        w.deed_of(&renewed, confirm("1.0.1")),
        Ok(Answer::Already),
        "the same token is the same person"
    );
    assert_eq!(have(&w, "1.0.1"), Some((1, 2)));
    // Without addresses it is the tokens that differ.
    w.deed_of(&actor("cid", Role::Operator), confirm("1.0.1")).unwrap();
    assert_eq!(w.current("prod"), "1.0.1");
}

#[test]
fn rule_12_an_author_does_not_count_where_the_rule_says_so() {
    let mut w = World::with(shop([tier("host"), prod(1, |rule| rule.not_author = true)]));
    w.push_with("c1", |push| push.emails = vec!["ann@example.org".into(), "Cid@Example.org".into()]);
    let refused = |w: &mut World, actor: &Actor| match w.deed_of(actor, confirm("1.0.1")) {
        Err(rejection) => rejection.code(),
        Ok(answer) => panic!("{answer:?}"),
    };
    assert_eq!(refused(&mut w, &person("ann")), "TG-ASK-022", "she wrote the commit");
    assert_eq!(refused(&mut w, &person("cid")), "TG-ASK-022", "he committed it");
    let nameless = actor("dee", Role::Operator);
    assert_eq!(refused(&mut w, &nameless), "TG-AUTH-008", "nobody can tell who that is");
    let help = w.deed_of(&nameless, confirm("1.0.1")).unwrap_err().help();
    assert!(help.contains("token create NAME --role operator --email"), "{help}");
    assert_eq!(w.count("manual_confirm"), 0);
    w.deed_of(&person("bob"), confirm("1.0.1")).unwrap();
    assert_eq!(w.current("prod"), "1.0.1");
}

#[test]
fn rule_12_whoever_asked_for_the_build_is_an_author_by_name_and_by_address() {
    let mut w = World::with(shop([tier("host"), prod(1, |rule| rule.not_author = true)]));
    let push = |w: &mut World, by: &str, again: bool| {
        let push = Push {
            pipeline: "shop".into(),
            sha: sha("c1"),
            ref_name: None,
            old: None,
            news: News::Told,
            author: "Ann".into(),
            subject: "A change".into(),
            emails: vec![],
            ref_taken: true,
            touched: true,
            tag_missing: false,
        };
        w.tell(Command::Push { by: Some(person(by)), why: None, again, pushes: vec![push] });
    };
    push(&mut w, "bob", false);
    // Asked for again by another, who is an author, too; and nobody stops being one.
    push(&mut w, "cid", true);
    let other_token = Actor { email: Some("bob@example.org".into()), ..actor("laptop", Role::Operator) };
    for actor in [person("bob"), person("cid"), other_token] {
        let answer = w.deed_of(&actor, confirm("1.0.1"));
        assert!(matches!(answer, Err(Rejection::IsAuthor(..))), "{actor:?}: {answer:?}");
    }
    w.crash();
    assert!(matches!(w.deed_of(&person("bob"), confirm("1.0.1")), Err(Rejection::IsAuthor(..))));
    w.deed_of(&person("dee"), confirm("1.0.1")).unwrap();
    assert_eq!(w.current("prod"), "1.0.1");
}

#[test]
fn rule_12_what_was_adopted_has_the_authors_of_its_commit() {
    let mut w = World::with(shop([tier("host"), prod(1, |rule| rule.not_author = true)]));
    let about = command::About { emails: vec!["bob@example.org".into()], ..Default::default() };
    let (tier, version, sha) = ("host".into(), "0.9.0".into(), sha("c9"));
    w.deed_of(&person("ann"), Deed::Adopt { tier, version, sha, about: Box::new(about) }).unwrap();
    w.promote("prod", "0.9.0").unwrap();
    let phone = Actor { email: Some("ann@example.org".into()), ..actor("phone", Role::Operator) };
    for author in [person("bob"), person("ann"), phone] {
        let answer = w.deed_of(&author, confirm("0.9.0"));
        assert!(matches!(answer, Err(Rejection::IsAuthor(..))), "{author:?}: {answer:?}");
    }
    w.deed_of(&person("cid"), confirm("0.9.0")).unwrap();
    assert_eq!(w.current("prod"), "0.9.0");
}

#[test]
fn rule_12_a_confirmation_lapses_at_its_moment_and_that_is_said_once() {
    let mut w = World::with(shop([tier("host"), prod(3, |rule| rule.expires = Some(Span::seconds(3600)))]));
    w.push("c1");
    w.deed_of(&person("bob"), confirm("1.0.1")).unwrap();
    w.wait(TimeDelta::minutes(30));
    w.deed_of(&person("cid"), confirm("1.0.1")).unwrap();
    assert_eq!(have(&w, "1.0.1"), Some((2, 3)));
    let begin = w.now;
    w.wait(TimeDelta::minutes(29));
    assert_eq!(w.count("confirm_voided"), 0);
    w.wait(TimeDelta::minutes(1));
    w.saw(&[r#"confirm_voided prod 1.0.1 expired ["bob"]"#]);
    assert_eq!(w.said.last().unwrap().at, begin + TimeDelta::minutes(30), "at that moment");
    assert_eq!(have(&w, "1.0.1"), Some((1, 3)));
    assert_eq!(w.count("promote_blocked prod 1.0.1"), 4, "how many words there are is part of the set");
    w.wait(TimeDelta::hours(5));
    w.saw(&[r#"confirm_voided prod 1.0.1 expired ["cid"]"#]);
    assert_eq!(w.count("confirm_voided"), 2);
    assert_eq!(w.deed_of(&person("bob"), confirm("1.0.1")), Ok(Answer::Done), "he may say it again");
    assert_eq!(have(&w, "1.0.1"), Some((1, 3)));
}

#[test]
fn rule_12_what_lapses_while_the_controller_is_down_is_said_once_after_it() {
    let mut w = World::with(shop([tier("host"), prod(2, |rule| rule.expires = Some(Span::seconds(60)))]));
    w.push("c1");
    w.deed_of(&person("bob"), confirm("1.0.1")).unwrap();
    w.now += TimeDelta::hours(1);
    w.crash();
    w.crash();
    assert_eq!(w.count("confirm_voided prod 1.0.1 expired"), 1);
    assert_eq!(have(&w, "1.0.1"), Some((0, 2)));
}

#[test]
fn rule_12_a_word_that_lapses_as_another_comes_does_not_count() {
    let mut w = World::with(shop([tier("host"), prod(2, |rule| rule.expires = Some(Span::seconds(60)))]));
    w.push("c1");
    w.deed_of(&person("bob"), confirm("1.0.1")).unwrap();
    // Nobody has looked since: the words come before the wake.
    w.now += TimeDelta::seconds(60);
    w.deed_of(&person("bob"), confirm("1.0.1")).unwrap();
    w.saw(&[r#"confirm_voided prod 1.0.1 expired ["bob"]"#, "manual_confirm prod 1.0.1"]);
    assert_eq!(have(&w, "1.0.1"), Some((1, 2)));
    w.now += TimeDelta::seconds(60);
    w.deed_of(&person("cid"), confirm("1.0.1")).unwrap();
    assert_eq!((w.current("prod"), w.count("confirm_voided")), ("".into(), 2));
}

#[test]
fn rule_12_a_window_that_opens_after_a_word_has_lapsed_lets_nothing_in() {
    let late = Window { days: vec![], from: 12 * 60, to: 13 * 60, zone: "UTC".into() };
    let rule = |rule: &mut Confirm| rule.expires = Some(Span::seconds(3600));
    let mut w = World::with(shop([tier("host"), prod(1, rule).with(|t| t.promote.window = vec![late])]));
    w.push("c1");
    w.deed_of(&person("bob"), confirm("1.0.1")).unwrap();
    w.wait(TimeDelta::minutes(210));
    assert_eq!(w.current("prod"), "");
    w.deed_of(&person("bob"), confirm("1.0.1")).unwrap();
    assert_eq!(w.current("prod"), "1.0.1", "the window is open now");
}

#[test]
fn rule_12_a_void_word_lets_nothing_in_at_the_moment_of_the_edit() {
    let by_hand = || prod(1, |_| {}).manual();
    let mut w = World::with(shop([tier("host"), by_hand()]));
    w.push("c1");
    w.deed_of(&person("bob"), confirm("1.0.1")).unwrap();
    assert_eq!(w.blockers("prod", "1.0.1"), ["manual"]);
    w.load(shop([tier("host"), prod(1, |_| {})]));
    w.saw(&[r#"confirm_voided prod 1.0.1 edited ["bob"]"#]);
    assert_eq!(w.current("prod"), "", "he agreed to something else");
    assert_eq!(w.blockers("prod", "1.0.1"), ["confirm_missing"]);
}

#[test]
fn rule_12_another_name_for_the_same_does_not_void() {
    let named = |host: &str, prod: &str, node: &str| {
        let was = |t: &mut Tier, before: &str| t.was = (t.name != *before).then(|| before.into());
        shop([
            tier(host).with(|t| was(t, "host")),
            tier(prod).manual().confirmed_by(1).nodes(&[node]).with(|t| {
                was(t, "prod");
                t.nodes[0].was = (node != "a1").then(|| "a1".into());
            }),
        ])
    };
    let mut w = World::with(named("host", "prod", "a1"));
    w.push("c1");
    w.deed_of(&person("bob"), confirm("1.0.1")).unwrap();
    w.load(named("host", "live", "a1"));
    w.load(named("build", "live", "b1"));
    // The words about former names go some day, and what a release executes grows.
    let mut last = named("build", "live", "b1");
    last.tiers.iter_mut().for_each(|t| t.was = None);
    last.tiers[1].nodes[0].was = None;
    last.tiers[1].unsupported = vec!["deploy.sandbox".into()];
    w.load(last);
    assert_eq!(w.count("confirm_voided"), 0);
    assert_eq!(w.blockers("live", "1.0.1"), ["unsupported", "manual"]);
}

#[test]
fn rule_12_a_confirmation_may_be_given_as_soon_as_a_version_waits_and_not_before() {
    let mut w = World::with(shop([tier("host").gate("tests"), prod(1, |_| {})]));
    w.hold_run("compile");
    w.push("c1");
    assert!(matches!(w.deed(confirm("1.0.1")), Err(Rejection::NotBuilt(_))));
    w.let_go("compile");
    w.hold_run("host/tests");
    w.push("c2");
    assert!(matches!(w.deed(confirm("1.0.2")), Err(Rejection::NotPromoted(..))));
    w.let_go("host/tests");
    w.deed(confirm("1.0.2")).unwrap();
    assert_eq!(w.current("prod"), "1.0.2");
    assert!(matches!(w.deed(confirm("1.0.1")), Err(Rejection::NotWaiting(..))), "it is superseded");
}

#[test]
fn rule_12_a_version_that_was_lifted_over_the_tiers_before_can_be_confirmed() {
    let mut w = World::with(shop([tier("host").gate("tests"), prod(1, |_| {})]));
    w.script("host/tests", [Ends::Is(Classification::TestFailure)]);
    w.push("c1");
    let lift = Deed::Promote { tier: "prod".into(), version: "1.0.1".into(), lift: true };
    w.deed_of(&actor("root", Role::Admin), lift).unwrap();
    assert_eq!(w.blockers("prod", "1.0.1"), ["confirm_missing"]);
    w.deed(confirm("1.0.1")).unwrap();
    assert_eq!(w.current("prod"), "1.0.1");
}

#[test]
fn rule_12_a_version_older_than_the_current_one_waits_for_no_word() {
    let mut w = World::with(shop([tier("host").gate("tests"), prod(1, |_| {})]));
    w.script("host/tests", [Ends::Is(Classification::TestFailure)]);
    w.push("c1");
    w.push("c2");
    w.deed(confirm("1.0.2")).unwrap();
    assert_eq!(w.current("prod"), "1.0.2");
    let answer = w.deed(confirm("1.0.1"));
    assert!(matches!(answer, Err(Rejection::OlderThanCurrent(..))), "{answer:?}");
}

#[test]
fn rule_12_a_word_for_what_is_inside_is_refused_and_one_that_was_given_is_done() {
    let mut w = World::with(shop([tier("host"), prod(1, |_| {}).gate("smoke")]));
    w.hold_run("prod/smoke");
    w.push("c1");
    w.deed_of(&person("bob"), confirm("1.0.1")).unwrap();
    assert_eq!(w.deed_of(&person("bob"), confirm("1.0.1")), Ok(Answer::Already));
    let late = w.deed_of(&person("cid"), confirm("1.0.1"));
    assert!(matches!(late, Err(Rejection::IsInside(..))), "{late:?}");
    let late = w.deed_of(&person("cid"), deny("1.0.1"));
    assert!(
        matches!(&late, Err(no @ Rejection::IsInside(..)) if no.help().contains("tidegate cancel")),
        "{late:?}"
    );
    // A gate that could not judge puts it in front of the tier again: the word still counts.
    w.script("prod/smoke", [Ends::Is(Classification::MissingTool)]);
    w.let_go("prod/smoke");
    w.saw(&["promote_blocked prod 1.0.1"]);
    assert_eq!(have(&w, "1.0.1"), None);
    w.retry("prod", "1.0.1").unwrap();
    assert_eq!(w.current("prod"), "1.0.1");
    assert_eq!(w.deed_of(&person("cid"), confirm("1.0.1")), Ok(Answer::Already), "it has passed");
}

#[test]
fn rule_12_a_new_word_is_needed_after_a_denial_and_the_reason_is_kept() {
    let mut w = World::with(shop([tier("host"), prod(2, |_| {})]));
    w.push("c1");
    w.deed_of(&person("bob"), confirm("1.0.1")).unwrap();
    w.deed_of(&person("cid"), deny("1.0.1")).unwrap();
    let rejected = w.shop().tiers["prod"].rejected_for(&"1.0.1".into()).map(str::to_owned);
    assert_eq!(rejected.as_deref(), Some("denied by cid: because"));
    assert!(matches!(w.deed_of(&person("dee"), confirm("1.0.1")), Err(Rejection::IsRejected(..))));
    w.retry("prod", "1.0.1").unwrap();
    assert_eq!(have(&w, "1.0.1"), Some((0, 2)));
}

#[test]
fn rule_12_a_word_is_for_one_version_and_holds_up_no_other() {
    let mut w = World::with(shop([tier("host"), prod(2, |_| {})]));
    w.push("c1");
    w.deed_of(&person("bob"), confirm("1.0.1")).unwrap();
    w.push("c2");
    assert_eq!((have(&w, "1.0.1"), have(&w, "1.0.2")), (Some((1, 2)), Some((0, 2))));
    for name in ["bob", "cid"] {
        w.deed_of(&person(name), confirm("1.0.2")).unwrap();
    }
    assert_eq!(w.current("prod"), "1.0.2", "the older one that waits does not keep it");
    w.saw(&["superseded prod 1.0.1 1.0.2"]);
}

#[test]
fn rule_30_a_tier_that_is_taken_out_and_comes_back_the_same_keeps_its_words() {
    let two = || shop([tier("host"), prod(2, |rule| rule.expires = Some(Span::seconds(3600)))]);
    let mut w = World::with(two());
    w.push("c1");
    w.deed_of(&person("bob"), confirm("1.0.1")).unwrap();
    w.load(shop([tier("host")]));
    w.load(two());
    assert_eq!((have(&w, "1.0.1"), w.count("confirm_voided")), (Some((1, 2)), 0));
    w.load(shop([tier("host")]));
    w.wait(TimeDelta::hours(2));
    assert_eq!(w.count("confirm_voided"), 0, "there is no rule by which it could lapse");
    w.load(two());
    w.saw(&["confirm_voided prod 1.0.1 expired"]);
}
