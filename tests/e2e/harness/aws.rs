//! The AWS emulators of others, each for what it can be trusted with.

use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use super::process::{Guardian, Server, free_port, new_folder};
use super::tools::Tools;
use super::wait;

/// A running emulator; it ends when it is dropped.
pub(crate) struct Emulator {
    // Dropped before the server, or it would end it a second time.
    #[expect(dead_code, reason = "held for its Drop")]
    guardian: Guardian,
    #[expect(dead_code, reason = "held for its Drop")]
    server: Server,
    endpoint: String,
}

impl Emulator {
    /// IAM and STS with trust policies enforced: AssumeRole and
    /// AssumeRoleWithWebIdentity are answered as the role's trust policy says.
    /// An access key id of twelve digits is that account's. It pages nothing, and
    /// refuses a web identity whose trust tests the audience, which Kubernetes
    /// always makes a list.
    pub(crate) fn ministack() -> Emulator {
        let port = free_port();
        let mut command = Command::new(Tools::get().python("ministack"));
        command
            .env("AUTH", "true")
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("MINISTACK_HOST", "127.0.0.1");
        Emulator::start("ministack", port, &mut command)
    }

    /// IAM with the grammar of trust policies (asked by UpdateAssumeRolePolicy, not
    /// by CreateRole), paging and managed policies. AssumeRole is always allowed,
    /// and there is no Pod Identity.
    pub(crate) fn moto() -> Emulator {
        let port = free_port();
        let mut command = Command::new(Tools::get().python("moto_server"));
        command.env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true").args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        Emulator::start("moto", port, &mut command)
    }

    /// For `AWS_ENDPOINT_URL_IAM` and `AWS_ENDPOINT_URL_STS`.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    fn start(name: &str, port: u16, command: &mut Command) -> Emulator {
        let folder = new_folder(name);
        let mut guardian = Guardian::start(&folder.join("data"));
        let mut server = Server::start(&mut guardian, &folder, name, command.current_dir(folder.join("data")));
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            server.assert_running();
            assert!(started.elapsed() < wait::PATIENCE, "{name} does not listen\n{}", server.tail(15));
            std::thread::sleep(Duration::from_millis(20));
        }
        Emulator { guardian, server, endpoint: format!("http://127.0.0.1:{port}") }
    }
}
