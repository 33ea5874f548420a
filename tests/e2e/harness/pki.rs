//! The certificates of one plane: one authority, and what it signs.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_RSA_SHA256,
};

/// A certificate and its private key, both PEM.
#[derive(Clone, Debug)]
pub(crate) struct Identified {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// The certificate authority of one plane.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "irsa-migrate end-to-end tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a self-signed certificate").pem();
        Authority { issuer: Issuer::new(params, key), certificate }
    }

    /// The authority's own certificate, PEM.
    pub(crate) fn certificate(&self) -> &str {
        &self.certificate
    }

    /// A certificate for a server on the loopback.
    pub(crate) fn server(&self) -> Identified {
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names).expect("two valid names");
        params.distinguished_name.push(DnType::CommonName, "localhost");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params)
    }

    /// A client certificate: Kubernetes reads the user from the common name and a
    /// group from the organization.
    pub(crate) fn client(&self, user: &str, group: Option<&str>) -> Identified {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, user);
        if let Some(group) = group {
            params.distinguished_name.push(DnType::OrganizationName, group);
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params)
    }

    fn sign(&self, mut params: CertificateParams) -> Identified {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.issuer).expect("a signed certificate").pem();
        Identified { certificate, key: key.serialize_pem() }
    }
}

/// The key pair that signs ServiceAccount tokens: RSA, as EKS signs with RS256.
/// The private key and the public key, both PEM.
pub(crate) fn service_account_keys() -> (String, String) {
    let key = KeyPair::generate_for(&PKCS_RSA_SHA256).expect("an RSA key");
    (key.serialize_pem(), key.public_key_pem())
}
