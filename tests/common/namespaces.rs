//! Programs in namespaces of their own: with file systems that are full or read-only, or as nobody.

use std::path::Path;
use std::process::{Command, Stdio};

use super::binary;
use super::processes::{Ended, ended};

/// `unshare` with these options, if the kernel and the tool allow them.
pub fn unshare(options: &[&'static str]) -> Option<Vec<&'static str>> {
    let works = Command::new("unshare")
        .args(options)
        .arg("true")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !works {
        println!("NOT TESTED HERE: `unshare {}` is not allowed", options.join(" "));
    }
    works.then(|| options.to_vec())
}

/// Runs a shell script in which file systems may be mounted; `copy` in it is the
/// command `template`, to which more arguments may be given.
pub fn with_mounts(template: &Command, home: &Path, script: &str) -> Option<Ended> {
    let options = unshare(&["-Urm"]).or_else(|| unshare(&["-m"]))?;
    let arguments: Vec<_> = template.get_args().map(|a| a.to_string_lossy()).collect();
    let arguments = arguments.join(" ");
    let mut command = Command::new("unshare");
    command.args(&options).arg("sh").arg("-c").arg(format!(
        "copy() {{ '{}' {arguments} \"$@\"; }}\nmkdir -p disk\n{script}",
        binary().display()
    ));
    command
        .env_clear()
        .current_dir(home)
        .stdin(Stdio::null())
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    for (name, value) in template.get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    Some(ended(&mut command))
}
