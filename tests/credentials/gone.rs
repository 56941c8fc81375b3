//! Credentials that nobody renews, or only when asked: waiting, the question at the terminal, and
//! that nothing ever hangs.

use std::time::{Duration, Instant};

use crate::common::{ACCOUNTS, Done, Rig, json, side_by_side};
use crate::{PROFILES, SIM, copy, expired_at, run};

fn assert_saved(done: &Done, rig: &Rig) {
    let summary = json(&rig.path("s.json"));
    assert_eq!(summary["exit_code"], 2, "{}", done.stderr);
    assert_eq!(summary["failed"], 0, "{}", done.stderr);
    let left = summary["pending"].as_u64().unwrap() + summary["in_progress"].as_u64().unwrap();
    assert!(left > 0, "{}", done.stderr);
    let states = rig.states();
    assert_eq!(states.len(), 1, "one document, no journal, no lock: {states:?}");
    assert_eq!(json(&states[0])["finished"], false);
}

#[test]
fn off_a_terminal_the_run_waits_and_then_stops_with_2_and_can_be_resumed() {
    let rig = Rig::new(SIM);
    let command = copy(&format!("{PROFILES} --credential-wait 0.05"));
    let script = expired_at(&command, "StartCopyJob 30", "true");
    let began = Instant::now();
    let done = run(&rig, &format!("both; {script}"));
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert_saved(&done, &rig);
    assert_eq!(
        json(&rig.path("s.json"))["stop_reason"],
        "credentials expired and were not renewed"
    );
    for text in [
        "the source credentials (account 123456789012, profile src) do not work any more; waiting up to 3 s",
        "the source credentials (account 123456789012, profile src) are gone",
        "write new keys for the profile src into the AWS credentials file",
        "--resume",
    ] {
        assert!(done.stderr.contains(text), "{text}: {}", done.stderr);
    }
    // One wait, not one for each worker.
    assert_eq!(done.stderr.matches("waiting up to").count(), 1, "{}", done.stderr);
    assert_eq!(done.stderr.matches("are gone").count(), 1, "{}", done.stderr);
}

#[test]
fn what_was_stopped_for_credentials_is_resumed_without_a_second_copy() {
    let rig = Rig::new(SIM);
    let command = copy(&format!("{PROFILES} --credential-wait 0.02"));
    let script = expired_at(&command, "StartCopyJob 30", "true");
    let done = run(
        &rig,
        &format!(
            "both; {script}; echo $?; both; {}",
            copy(&format!("{PROFILES} --resume"))
        ),
    );
    assert_eq!(done.stdout, "2\n", "{}", done.stderr);
    done.assert_whole(&rig, 80);
    // A rejected start has done nothing: every other one made a job.
    let made = done.ledger["copies"].as_array().unwrap().len();
    assert_eq!(made, 80, "{}", done.stderr);
}

#[test]
fn a_start_that_waits_for_credentials_is_not_in_doubt_when_the_run_is_stopped() {
    let rig = Rig::new("--vault v1=40 --resources 40 --job-seconds 30 --latency-ms 300");
    let command = copy(&format!("{PROFILES} --workers 5 --max-in-flight 40"));
    let script = format!(
        "both; {command} & pid=$!; until_calls StartCopyJob 8; expire; sleep 10; kill -TERM $(pgrep -P $pid); wait $pid"
    );
    let done = run(&rig, &script);
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert_saved(&done, &rig);
    let state = json(&rig.states()[0]);
    let starting = state["items"].as_array().unwrap().iter();
    let starting = starting.filter(|item| item["status"] == "starting").count();
    assert_eq!(starting, 0, "{}", done.stderr);
}

#[test]
fn keys_in_the_environment_are_not_waited_for() {
    let rig = Rig::new(SIM);
    let script = expired_at(&copy("--dest-profile dst"), "StartCopyJob 30", "true");
    let began = Instant::now();
    let done = run(&rig, &format!("both; eval \"$(keys $SRC 0 env)\"; {script}"));
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert_saved(&done, &rig);
    assert!(
        done.stderr
            .contains("keys in the environment (AWS_ACCESS_KEY_ID, ...) cannot be renewed"),
        "{}",
        done.stderr
    );
    // The default wait is ten minutes.
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
}

#[test]
fn reads_whose_credentials_are_gone_end_with_2() {
    side_by_side([
        "shuffle-aws-vaults list --source-account $SRC --source-profile src --vault v1 --credential-wait 0.02 > /dev/null".to_owned(),
        format!("shuffle-aws-vaults verify {ACCOUNTS} {PROFILES} --vault v1 --credential-wait 0.02"),
        copy(&format!("{PROFILES} --credential-wait 0.02")),
    ], |command| {
        let rig = Rig::new("--vault v1=5000 --resources 5000 --latency-ms 300");
        let script = expired_at(&command, "ListRecoveryPointsByBackupVault 2", "true");
        let done = run(&rig, &format!("both; {script}"));
        assert_eq!(done.code, 2, "{command}: {}", done.stderr);
        assert!(done.stderr.contains("write new keys for the profile src"), "{}", done.stderr);
        assert_eq!(done.calls("StartCopyJob"), 0);
    });
}

#[test]
fn a_signal_ends_the_wait_within_5_seconds() {
    side_by_side(["INT", "TERM", "HUP"], |signal| {
        let rig = Rig::new(SIM);
        let command = format!("{} 2> log", copy(PROFILES).replace("timeout 120 ", ""));
        let script = format!(
            "set -m; both; {command} & pid=$!; until_calls StartCopyJob 30; expire
             until grep -q 'waiting up to 600 s' log; do sleep 0.1; done
             at=$(date +%s%N); kill -{signal} $pid; wait $pid; echo $? $(( ($(date +%s%N) - at) / 1000000 ))"
        );
        let done = run(&rig, &script);
        let log = std::fs::read_to_string(rig.path("log")).unwrap();
        let (code, milliseconds) = done.stdout.trim().split_once(' ').unwrap();
        assert_eq!(code, "2", "{signal}: {log}");
        assert!(
            milliseconds.parse::<u64>().unwrap() < 5_000,
            "{signal}: {milliseconds} ms: {log}"
        );
        assert_saved(&done, &rig);
    });
}

/// Runs a command on a terminal of its own; `keyboard` is the script of what happens meanwhile, and
/// types with `type_in`; what the terminal shows is in `screen`.
fn on_a_terminal(command: &str, keyboard: &str) -> String {
    // `script` is killed with the test, should it come to that.
    // On a terminal, `timeout` would put the command into the background.
    let command = command.replace("timeout 120 ", "");
    format!(
        "both; cat > command.sh <<'EOF'\nexec {command}\nEOF\n
         shown() {{ grep -c \"$1\" screen; }}
         type_in() {{ printf \"$1\" >&3; }}
         mkfifo keyboard; timeout 100 script -qefc 'exec bash command.sh' screen < keyboard > /dev/null & pid=$!
         exec 3> keyboard
         {keyboard}
         wait $pid; code=$?; exec 3>&-; exit $code"
    )
}

const ASKED: &str = "until grep -q 'press Enter' screen; do sleep 0.1; done";

fn screen(rig: &Rig) -> String {
    String::from_utf8_lossy(&std::fs::read(rig.path("screen")).unwrap()).into_owned()
}

#[test]
fn on_a_terminal_one_question_is_asked_and_enter_goes_on() {
    let rig = Rig::new(SIM);
    let command = copy(&format!("{PROFILES} --workers 20 --yes"));
    // The first Enter comes too early: the keys are not there yet.
    let keyboard = format!(
        "until_calls StartCopyJob 30; expire; {ASKED}
         before=$(curl -sf $AWS_ENDPOINT_URL/_ledger | jq .calls.StartCopyJob); sleep 2
         echo $(( $(curl -sf $AWS_ENDPOINT_URL/_ledger | jq .calls.StartCopyJob) - before ))
         type_in '\\n'; until [ $(shown 'press Enter') = 2 ]; do sleep 0.1; done
         both; type_in '\\n'"
    );
    let done = run(&rig, &on_a_terminal(&command, &keyboard));
    let screen = screen(&rig);
    assert_eq!(done.code, 0, "{screen}");
    done.assert_whole(&rig, 80);
    assert_eq!(done.stdout, "0\n", "starts while the question is open: {screen}");
    assert_eq!(
        screen.matches("press Enter").count(),
        2,
        "one question for each answer: {screen}"
    );
    assert!(screen.contains("write new keys for the profile src"), "{screen}");
}

#[test]
fn on_a_terminal_q_and_ctrl_c_and_the_end_of_input_stop_with_2() {
    side_by_side(
        [("q", "q\\n"), ("ctrl-c", "\\003"), ("ctrl-d", "\\004")],
        |(name, answer)| {
            let rig = Rig::new(SIM);
            let command = copy(&format!("{PROFILES} --workers 20 --yes"));
            let keyboard = format!(
                "until_calls StartCopyJob 30; expire; {ASKED}; at=$(date +%s); type_in '{answer}'
             wait $pid; echo $(( $(date +%s) - at ))"
            );
            let done = run(&rig, &on_a_terminal(&command, &keyboard));
            let screen = screen(&rig);
            assert_eq!(done.code, 2, "{name}: {screen}");
            assert_saved(&done, &rig);
            assert_eq!(screen.matches("press Enter").count(), 1, "{name}: {screen}");
            let seconds: u64 = done.stdout.trim().parse().unwrap();
            assert!(seconds <= 5, "{name}: {seconds} s: {screen}");
        },
    );
}

#[test]
fn credentials_that_expire_while_the_plan_waits_for_its_confirmation_are_renewed() {
    let rig = Rig::new("--vault v1=20 --job-seconds 0.1");
    let keyboard = "until grep -q 'y/N' screen; do sleep 0.1; done; expire; both; type_in 'y\\n'";
    let done = run(&rig, &on_a_terminal(&copy(PROFILES), keyboard));
    assert_eq!(done.code, 0, "{}", screen(&rig));
    done.assert_whole(&rig, 20);
    assert_eq!(screen(&rig).matches("press Enter").count(), 0);
}

#[test]
fn two_sides_of_one_login_are_asked_for_once() {
    let rig = Rig::new("--vault v1=3000 --resources 3000 --latency-ms 200");
    // Both are roles that are assumed with the keys of one profile.
    let config = "printf '[profile src]\\nrole_arn = arn:aws:iam::%s:role/R\\nsource_profile = one\\n\
                  [profile dst]\\nrole_arn = arn:aws:iam::%s:role/R\\nsource_profile = one\\n' $SRC $DST > config.own
                  export AWS_CONFIG_FILE=$PWD/config.own
                  one() { { echo '[one]'; keys $SRC; } > keys.new; mv keys.new keys; }";
    let command =
        format!("shuffle-aws-vaults verify {ACCOUNTS} {PROFILES} --vault v1 --output json > verified.json");
    let keyboard =
        format!("until_calls ListRecoveryPointsByBackupVault 1; expire; {ASKED}; one; type_in '\\n'");
    let script = on_a_terminal(&command, &keyboard).replacen("both;", "both; one;", 1);
    let done = run(&rig, &format!("{config}\n{script}"));
    let screen = screen(&rig);
    // Nothing was copied, so that all is missing.
    assert_eq!(done.code, 1, "{screen}");
    assert_eq!(
        json(&rig.path("verified.json"))["vaults"][0]["source"],
        3000,
        "{screen}"
    );
    assert_eq!(screen.matches("press Enter").count(), 1, "{screen}");
    assert!(
        screen.contains("the destination credentials were renewed"),
        "{screen}"
    );
}

#[test]
fn starts_whose_answer_was_lost_are_settled_after_credentials_were_renewed() {
    let rig = Rig::new("--vault v1=30 --resources 30 --job-seconds 0.5 --lost-answer-share 0.5");
    // Gone while starts are in doubt, in the middle of the run; then resumed.
    let command = copy(&format!("{PROFILES} --workers 10 --credential-wait 0.02"));
    let script = expired_at(&command, "StartCopyJob 12", "true");
    let resumed = copy(&format!("{PROFILES} --workers 10 --resume"));
    let done = run(&rig, &format!("both; {script}; echo $?; both; {resumed}"));
    assert_eq!(done.stdout, "2\n", "{}", done.stderr);
    done.assert_whole(&rig, 30);
}

#[test]
fn a_run_of_nothing_but_starts_in_doubt_ends_when_credentials_are_gone() {
    // No job ends before the credentials do, however slow this machine is.
    let rig = Rig::new("--vault v1=8 --resources 8 --job-seconds 30 --lost-answer-share 1");
    let command =
        copy(&format!("{PROFILES} --workers 8 --credential-wait 0.02")).replace("timeout 120", "timeout 60");
    let script = expired_at(&command, "StartCopyJob 8", "true");
    let done = run(&rig, &format!("both; {script}"));
    assert_eq!(done.code, 2, "{}", done.stderr);
}
