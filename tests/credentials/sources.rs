//! What renews credentials: a `credential_process`, SSO, a container's service, web identity; and
//! clocks that are wrong, and logins into another account.

use std::time::{Duration, Instant};

use crate::common::{ACCOUNTS, Rig, json, side_by_side};
use crate::{PROFILES, SIM, WORKERS, copy, expired_at, run};

/// A `credential_process` that counts its calls in `calls.log`; `before` is run first.
fn process(rig: &Rig, before: &str) -> String {
    let path = rig.write(
        "process.sh",
        &format!(
            "cd {}; echo call >> calls.log; n=$(wc -l < calls.log)\n\
             hang() {{ echo $$ >> hung; exec sleep 100; }}\n{before}\n\
             curl -sf \"$AWS_ENDPOINT_URL/_credentials?account=123456789012&$QUERY\"\n",
            rig.home.path().display()
        ),
    );
    format!("profile_of_source 'credential_process = bash {}'", path.display())
}

fn process_calls(rig: &Rig) -> usize {
    std::fs::read_to_string(rig.path("calls.log"))
        .unwrap()
        .lines()
        .count()
}

#[test]
fn a_process_is_run_once_for_all_workers() {
    let rig = Rig::new(SIM);
    let profile = process(&rig, "");
    let command = copy(&format!("{PROFILES} --workers {WORKERS}"));
    let script = expired_at(&command, "StartCopyJob 30", "true");
    let done = run(&rig, &format!("{profile}; {script}"));
    done.assert_whole(&rig, 80);
    assert_eq!(process_calls(&rig), 2, "{}", done.stderr);
    done.assert_renewed_once();
}

#[test]
fn a_process_that_fails_twice_is_run_a_third_time() {
    let rig = Rig::new(SIM);
    let profile = process(
        &rig,
        "if [ $n = 2 ] || [ $n = 3 ]; then echo 'no ticket' >&2; exit 7; fi",
    );
    let script = expired_at(&copy(PROFILES), "StartCopyJob 30", "true");
    let done = run(&rig, &format!("{profile}; {script}"));
    done.assert_whole(&rig, 80);
    assert_eq!(process_calls(&rig), 4, "{}", done.stderr);
    assert_eq!(done.stderr.matches("no ticket").count(), 2, "{}", done.stderr);
    assert!(!done.stderr.contains("waiting up to"), "{}", done.stderr);
}

#[test]
fn a_process_that_hangs_or_prints_nonsense_ends_the_run_with_2_and_says_so() {
    let began = Instant::now();
    side_by_side(
        [
            ("[ $n = 1 ] || hang", "none came within 1.5 s"),
            (
                "[ $n = 1 ] || { echo '<html>'; exit 0; }",
                "could not parse response",
            ),
        ],
        |(before, text)| {
            let rig = Rig::new(SIM);
            let profile = process(&rig, before);
            let short = "--connect-timeout 0.5 --read-timeout 0.5 --credential-wait 0.05";
            let script = expired_at(&copy(&format!("{PROFILES} {short}")), "StartCopyJob 30", "true");
            // What hangs is left alone by the SDK.
            let done = run(
                &rig,
                &format!("{profile}; {script}; code=$?; [ ! -e hung ] || kill $(cat hung); exit $code"),
            );
            assert_eq!(done.code, 2, "{}", done.stderr);
            assert!(done.stderr.contains(text), "{text}: {}", done.stderr);
            let advice = "check the credential_process of the profile src";
            assert!(done.stderr.contains(advice), "{}", done.stderr);
            assert_eq!(json(&rig.path("s.json"))["failed"], 0);
        },
    );
    assert!(began.elapsed() < Duration::from_mins(1), "{:?}", began.elapsed());
}

#[test]
fn a_process_that_hangs_at_the_beginning_is_an_error_of_its_own() {
    let rig = Rig::new("--vault v1=3");
    let profile = process(&rig, "hang");
    let list = "shuffle-aws-vaults list --source-account $SRC --source-profile src --connect-timeout 0.5 --read-timeout 0.5";
    let done = run(
        &rig,
        &format!("{profile}; timeout 60 {list}; code=$?; [ ! -e hung ] || kill $(cat hung); exit $code"),
    );
    assert_eq!(done.code, 1, "{}", done.stderr);
    assert!(
        done.stderr.contains("no AWS credentials for the source account"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("none came within 1.5 s"), "{}", done.stderr);
}

#[test]
fn an_expiration_that_is_told_too_early_causes_no_storm() {
    // Their end lies in the past by our clock, and AWS takes them all the same.
    let rig = Rig::new(SIM);
    let profile = process(&rig, "");
    let done = run(
        &rig,
        &format!(
            "export QUERY='lifetime=3600&skew=-7200'; {profile}; {}",
            copy(PROFILES)
        ),
    );
    done.assert_whole(&rig, 80);
    assert_eq!(process_calls(&rig), 1, "{}", done.stderr);
}

#[test]
fn an_expiration_that_is_told_too_late_is_found_out_by_rejection() {
    let rig = Rig::new(SIM);
    let profile = process(&rig, "");
    let done = run(
        &rig,
        &format!(
            "export QUERY='lifetime=3&skew=7200'; {profile}; {}",
            copy(PROFILES)
        ),
    );
    done.assert_whole(&rig, 80);
    let seconds = json(&rig.path("s.json"))["duration_seconds"].as_f64().unwrap();
    #[allow(clippy::cast_precision_loss, reason = "a handful")]
    let calls = process_calls(&rig) as f64;
    assert!(
        calls >= 2.0 && calls <= 2.0 + seconds / 3.0,
        "{calls} in {seconds} s: {}",
        done.stderr
    );
}

#[test]
fn renewed_credentials_of_another_account_are_refused() {
    let rig = Rig::new(SIM);
    let command = copy(&format!("{PROFILES} --credential-wait 0.05"));
    // Somebody logs in to the destination account in the source's profile.
    let other = "{ echo '[src]'; keys $DST; } > keys.new; mv keys.new keys";
    let done = run(
        &rig,
        &format!("both; {}", expired_at(&command, "StartCopyJob 30", other)),
    );
    assert_eq!(done.code, 2, "{}", done.stderr);
    let text = "they belong to account 987654321098, not to 123456789012";
    assert!(done.stderr.contains(text), "{}", done.stderr);
    assert_eq!(done.renewals("source"), 0, "{}", done.stderr);
}

/// Ahead of an expiry that is near: the old ones are used to their end.
#[test]
fn renewed_credentials_of_another_account_are_refused_ahead_of_an_expiry() {
    let rig = Rig::new("--vault v1=40 --resources 40 --job-seconds 1");
    let profile = process(&rig, "[ $n = 1 ] || account=987654321098");
    let text = std::fs::read_to_string(rig.path("process.sh")).unwrap();
    rig.write(
        "process.sh",
        &text.replace("account=123456789012", "account=${account:-123456789012}"),
    );
    let command = copy(&format!("{PROFILES} --credential-wait 0.05 --workers 10"));
    let done = run(&rig, &format!("export QUERY=lifetime=3; {profile}; {command}"));
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(
        done.stderr.contains("they belong to account 987654321098"),
        "{}",
        done.stderr
    );
    assert_eq!(done.renewals("source"), 0, "{}", done.stderr);
}

const SSO: [&str; 2] = [
    "[profile src]\nsso_session = corp\nsso_account_id = 123456789012\nsso_role_name = Mover\n\
     [sso-session corp]\nsso_region = us-east-1\nsso_start_url = https://simulated.awsapps.com/start\n",
    "[profile src]\nsso_start_url = https://simulated.awsapps.com/start\nsso_region = us-east-1\n\
     sso_account_id = 123456789012\nsso_role_name = Mover\n",
];

/// `login SECONDS` does what `aws sso login` does. The file is named after the session, or the URL.
fn sso(rig: &Rig, config: &str) -> String {
    let destination = "[profile dst]\nrole_arn = arn:aws:iam::987654321098:role/R\nsource_profile = base\n\
                       [profile base]\naws_access_key_id = AKIA123456789012SIMS\naws_secret_access_key = x\n";
    rig.write("sso.config", &format!("{config}{destination}"));
    let name = if config.contains("sso_session") {
        "corp"
    } else {
        "https://simulated.awsapps.com/start"
    };
    format!(
        "export AWS_CONFIG_FILE=$PWD/sso.config; mkdir -p .aws/sso/cache
         login() {{ curl -sf \"$AWS_ENDPOINT_URL/_sso_login?lifetime=$1\" > cache.new &&
                    mv cache.new .aws/sso/cache/$(printf %s '{name}' | sha1sum | cut -d' ' -f1).json; }}"
    )
}

#[test]
fn a_new_sso_login_heals_a_run_in_both_forms_of_profile() {
    side_by_side(SSO, |config| {
        let rig = Rig::new(SIM);
        let profile = sso(&rig, config);
        // The login has ended when the keys do, and the operator logs in again a little later.
        let command = copy(&format!("{PROFILES} --credential-wait 1"));
        let script = format!(
            "{command} & pid=$!; until_calls StartCopyJob 30; login -60; expire; sleep 4; login 600; wait $pid"
        );
        let done = run(&rig, &format!("{profile}; login 600; {script}"));
        done.assert_whole(&rig, 80);
        assert!(
            done.stderr.contains("run: aws sso login --profile src"),
            "{}",
            done.stderr
        );
        assert_eq!(done.renewals("source"), 1, "{}", done.stderr);
        // The SDK looks at the end of a login only if the profile names a session.
        let most = if config == SSO[0] { 2 } else { 2 + 3 + 2 };
        assert!(done.calls("GetRoleCredentials") <= most, "{}", done.stderr);
    });
}

#[test]
fn an_expired_sso_login_at_the_beginning_is_an_error_that_names_the_command() {
    side_by_side(
        [(SSO[0], "login -60"), (SSO[1], "login -60"), (SSO[0], "true")],
        |(config, lifetime)| {
            let rig = Rig::new("--vault v1=3");
            let profile = sso(&rig, config);
            let done = run(
                &rig,
                &format!(
                    "{profile}; {lifetime}; shuffle-aws-vaults list --source-account $SRC --source-profile src"
                ),
            );
            assert_eq!(done.code, 1, "{}", done.stderr);
            assert!(
                done.stderr.contains("run: aws sso login --profile src"),
                "{}",
                done.stderr
            );
            // The same if the profile is found by its account.
            let done = run(
                &rig,
                &format!("{profile}; {lifetime}; shuffle-aws-vaults list --source-account $SRC"),
            );
            assert_eq!(done.code, 1, "{}", done.stderr);
            assert!(
                done.stderr.contains("run: aws sso login --profile src"),
                "{}",
                done.stderr
            );
        },
    );
}

#[test]
fn a_containers_service_and_a_web_identity_are_asked_once_for_all_workers() {
    let service = "export AWS_CONTAINER_CREDENTIALS_FULL_URI=\"$AWS_ENDPOINT_URL/_credentials?account=$SRC&form=container\"";
    let identity = "echo token > token; export AWS_WEB_IDENTITY_TOKEN_FILE=$PWD/token \
                    AWS_ROLE_ARN=arn:aws:iam::$SRC:role/Mover AWS_ROLE_SESSION_NAME=mover";
    side_by_side([service, identity], |source| {
        let rig = Rig::new(SIM);
        let destination = "printf '[profile dst]\\nrole_arn = arn:aws:iam::%s:role/R\\nsource_profile = base\\n\
                           [profile base]\\naws_access_key_id = AKIA%sSIMS\\naws_secret_access_key = x\\n' $DST $SRC \
                           > config.own; export AWS_CONFIG_FILE=$PWD/config.own";
        let command = copy(&format!("--dest-profile dst --workers {WORKERS}"));
        let script = expired_at(&command, "StartCopyJob 30", "true");
        let done = run(&rig, &format!("{destination}; {source}; {script}"));
        done.assert_whole(&rig, 80);
        assert_eq!(done.renewals("source"), 1, "{}", done.stderr);
        if source == identity {
            assert_eq!(done.calls("AssumeRoleWithWebIdentity"), 2, "{}", done.stderr);
        }
    });
}

#[test]
fn a_named_profile_counts_although_the_environment_has_keys() {
    let rig = Rig::new("--vault v1=5 --job-seconds 0.05");
    let done = run(
        &rig,
        &format!(
            "both; eval \"$(keys $SRC 0 env)\"; {} && shuffle-aws-vaults verify {ACCOUNTS} --dest-profile dst",
            copy("--dest-profile dst")
        ),
    );
    done.assert_whole(&rig, 5);
}
