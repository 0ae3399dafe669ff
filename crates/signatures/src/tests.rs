//! Tests of keys, signatures and documents: the vectors of RFC 6979, keys and bundles of the real cosign and OpenSSL, and
//! what must be refused.

use rondel_cas::Digest;

use crate::bundle::Bundle;
use crate::dsse::{self, Envelope};
use crate::{FormatError, KeyError, PrivateKey, PublicKey, WrongSignature, simple_signing};

const COSIGN_KEY: &str = include_str!("fixtures/cosign.key");
const COSIGN_PUB: &str = include_str!("fixtures/cosign.pub");
const SEC1: &str = include_str!("fixtures/rfc6979.sec1.pem");
const PKCS8: &str = include_str!("fixtures/rfc6979.pkcs8.pem");
const RFC_PUB: &str = include_str!("fixtures/rfc6979.pub");
/// What the fixture key's bundles sign.
const BLOB: &[u8] = b"hello\n";

fn key() -> PrivateKey {
    PrivateKey::from_pem(SEC1, None).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn refused(text: &str, password: Option<&str>) -> KeyError {
    PrivateKey::from_pem(text, password).err().expect("a refusal")
}

/// Appendix A.2.5, with SHA-256.
#[test]
fn nonces_are_those_of_rfc_6979() {
    let cases: [(&[u8], &str, &str); 2] = [
        (
            b"sample",
            "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716",
            "F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8",
        ),
        (
            b"test",
            "F1ABB023518351CD71D881567B1EA663ED3EFCF6C5132B354F28D3B0B7D38367",
            "019F4113742A2B14BD25926B49C649155F267E60D3814B4C0CC84250E46F0083",
        ),
    ];
    for (message, r, s) in cases {
        let signature = key().sign(message);
        let text = hex(&signature);
        assert!(text.contains(r) && text.ends_with(s), "{text}");
        assert_eq!(key().sign(message), signature);
        assert_eq!(key().sign_digest(Digest::of(message).hash()), signature);
        assert_eq!(key().public_key().verify(message, &signature), Ok(()));
    }
}

#[test]
fn keys_of_openssl_and_cosign_are_read() {
    let public = PublicKey::from_pem(RFC_PUB).unwrap();
    assert_eq!(public.to_pem(), RFC_PUB);
    assert_eq!(key().public_key(), public);
    assert_eq!(PrivateKey::from_pem(PKCS8, None).unwrap().public_key(), public);
    // A password of a key that has none is passed over, as cosign does.
    assert_eq!(PrivateKey::from_pem(PKCS8, Some("x")).unwrap().public_key(), public);
    let with_parameters =
        format!("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{SEC1}");
    assert_eq!(PrivateKey::from_pem(&with_parameters, None).unwrap().public_key(), public);
    let with_other_lines = SEC1.replace('\n', "\r\n");
    assert_eq!(PrivateKey::from_pem(&with_other_lines, None).unwrap().public_key(), public);

    let of_cosign = PrivateKey::from_pem(COSIGN_KEY, Some("swordfish")).unwrap();
    assert_eq!(of_cosign.public_key().to_pem(), COSIGN_PUB);
    let of_old = COSIGN_KEY.replace("SIGSTORE", "COSIGN");
    assert_eq!(PrivateKey::from_pem(&of_old, Some("swordfish")).unwrap().public_key().to_pem(), COSIGN_PUB);
}

#[test]
fn other_keys_are_refused_by_name() {
    for (text, expected) in [
        (include_str!("fixtures/secp384r1.pub"), "an ECDSA key of the curve P-384"),
        (include_str!("fixtures/secp521r1.pub"), "an ECDSA key of the curve P-521"),
        (include_str!("fixtures/secp256k1.pub"), "an ECDSA key of the curve secp256k1"),
        (include_str!("fixtures/rsa.pub"), "an RSA key"),
        (include_str!("fixtures/ed25519.pub"), "an Ed25519 key"),
    ] {
        assert_eq!(PublicKey::from_pem(text), Err(KeyError::OtherAlgorithm(expected)));
    }
    assert_eq!(PublicKey::from_pem("cosign.pub"), Err(KeyError::NotPem));
    assert!(matches!(PublicKey::from_pem(SEC1), Err(KeyError::OtherPem { .. })));
    assert!(matches!(refused(RFC_PUB, None), KeyError::OtherPem { .. }));
    assert_eq!(refused(include_str!("fixtures/pbes2.pem"), Some("x")), KeyError::OtherEncryption("PKCS#8 (PBES2)"));
    assert_eq!(refused(COSIGN_KEY, None), KeyError::NoPassword);
    assert_eq!(refused(COSIGN_KEY, Some("Swordfish")), KeyError::WrongPassword);
    assert_eq!(refused(COSIGN_KEY, Some("")), KeyError::WrongPassword);
    assert!(matches!(refused(&format!("{SEC1}{SEC1}"), None), KeyError::Damaged(_)));
    assert!(matches!(refused(&"x".repeat(100_000), None), KeyError::Damaged(_)));
    let cut = SEC1.rsplit_once("-----END").unwrap().0;
    assert!(matches!(refused(cut, None), KeyError::Damaged(_)));
}

/// Each byte of a key, cut off or changed: an error, or (where the byte is the number or its own public half) another key.
#[test]
fn damaged_keys_are_refused() {
    for (label, text) in [("EC PRIVATE KEY", SEC1), ("PRIVATE KEY", PKCS8)] {
        let der = crate::pem::blocks(text).unwrap().remove(0).contents;
        for length in 0..der.len() {
            let cut = crate::pem::write(label, &der[..length]);
            assert!(matches!(refused(&cut, None), KeyError::Damaged(_) | KeyError::NotPem), "{length}");
        }
        let longer = crate::pem::write(label, &[der.as_slice(), &[0]].concat());
        assert!(matches!(refused(&longer, None), KeyError::Damaged(_)));
    }
    for scalar in [[0_u8; 32], [0xff; 32]] {
        let zero = [&[0x30, 0x31, 2, 1, 1, 4, 32][..], &scalar, &[0xa0, 10, 6, 8], crate::der::P256].concat();
        assert!(matches!(refused(&crate::pem::write("EC PRIVATE KEY", &zero), None), KeyError::Damaged(_)));
    }
    let public = PublicKey::from_pem(RFC_PUB).unwrap();
    let der = public.to_der();
    let signature = key().sign(b"sample");
    for length in 0..der.len() {
        assert!(PublicKey::from_der(&der[..length]).is_err(), "{length}");
    }
    for place in 0..der.len() {
        for bit in 0..8 {
            let mut changed = der.clone();
            changed[place] ^= 1 << bit;
            let verified = PublicKey::from_der(&changed).map(|key| key.verify(b"sample", &signature));
            assert!(!matches!(verified, Ok(Ok(()))), "{place}");
        }
    }
}

#[test]
fn one_flipped_bit_of_a_signature_is_refused() {
    let public = key().public_key();
    let signature = key().sign(b"sample");
    for place in 0..signature.len() {
        for bit in 0..8 {
            let mut changed = signature.clone();
            changed[place] ^= 1 << bit;
            assert_eq!(public.verify(b"sample", &changed), Err(WrongSignature), "{place}.{bit}");
        }
        assert_eq!(public.verify(b"sample", &signature[..place]), Err(WrongSignature));
    }
    assert_eq!(public.verify(b"sample", &[signature.as_slice(), &[0]].concat()), Err(WrongSignature));
    assert_eq!(public.verify(b"Sample", &signature), Err(WrongSignature));
    let other = PublicKey::from_pem(COSIGN_PUB).unwrap();
    assert_eq!(other.verify(b"sample", &signature), Err(WrongSignature));
    // Numbers that fit every message of a careless reader: 0, and the order of the curve.
    for number in ["020100", "022100FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551"] {
        let bytes: Vec<u8> = number
            .as_bytes()
            .chunks(2)
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
            .collect();
        let length = u8::try_from(2 * bytes.len()).unwrap();
        let forged = [&[0x30, length][..], &bytes, &bytes].concat();
        assert_eq!(public.verify(b"sample", &forged), Err(WrongSignature));
    }
}

/// The files were written by cosign v3.1.3.
#[test]
fn bundles_of_cosign_are_verified() {
    let public = PublicKey::from_pem(COSIGN_PUB).unwrap();
    let json = include_bytes!("fixtures/blob.sigstore.json");
    let bundle = Bundle::from_json(json).unwrap();
    assert_eq!(bundle.verify_message(BLOB, &public), Ok(()));
    assert_eq!(bundle.verify_message(b"Hello\n", &public), Err(FormatError::WrongSignature));
    assert_eq!(bundle.verify_message(BLOB, &key().public_key()), Err(FormatError::WrongSignature));
    assert_eq!(String::from_utf8(bundle.to_json()).unwrap(), String::from_utf8_lossy(json));

    let json = include_bytes!("fixtures/blob.att.json");
    let bundle = Bundle::from_json(json).unwrap();
    assert_eq!(String::from_utf8(bundle.to_json()).unwrap(), String::from_utf8_lossy(json));
    let envelope = bundle.envelope().unwrap();
    let statement = envelope.verify(dsse::IN_TOTO, &public).unwrap();
    assert!(String::from_utf8(statement).unwrap().starts_with(r#"{"_type":"https://in-toto.io/Statement/v0.1""#));
    assert_eq!(envelope.verify(dsse::IN_TOTO, &key().public_key()), Err(FormatError::WrongSignature));
    assert!(matches!(envelope.verify("text/plain", &public), Err(FormatError::Other { .. })));
    assert!(matches!(bundle.verify_message(BLOB, &public), Err(FormatError::NotOne(_))));
}

#[test]
fn documents_have_these_bytes() {
    let message = Digest::of(BLOB);
    let bundle = String::from_utf8(Bundle::of_message(&message, &key()).to_json()).unwrap();
    expect_test::expect![[r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"Wnp4zKSg9CDZvGK7Zpw8J1njn3I9OuENy+DwgVoH7NQ="}},"messageSignature":{"messageDigest":{"algorithm":"SHA2_256","digest":"WJG1tSLV3whtD/CxEPvZ0hu0/HFjrzTQgoai6Eb2vgM="},"signature":"MEUCIQCU/gALbTzdwQ4G/fri2CFC+f3eYLjhoV0+DoT6D8PB2wIgeOfuFd2u1nbCU790uPJyo1MiD/FPo75dra+icsLdLqg="}}"#]].assert_eq(&bundle);
    let envelope = Envelope::sign(dsse::IN_TOTO, b"{}", &key());
    assert_eq!(envelope.verify(dsse::IN_TOTO, &key().public_key()).unwrap(), b"{}");
    let bundle = String::from_utf8(Bundle::of_envelope(envelope, &key().public_key()).to_json()).unwrap();
    expect_test::expect![[r#"{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","verificationMaterial":{"publicKey":{"hint":"Wnp4zKSg9CDZvGK7Zpw8J1njn3I9OuENy+DwgVoH7NQ="}},"dsseEnvelope":{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[{"sig":"MEUCIQCIoEl/VgK+hSpwyuWRrNuBKQf3Nur1JoLQypJXbSp+MQIgG1rWR71LAP8BSA4WWAw45zr4LI8TV++ee05vBV+OM4I="}]}}"#]].assert_eq(&bundle);
    let payload = simple_signing::payload("registry.example/team/app", &message);
    expect_test::expect![[r#"{"critical":{"identity":{"docker-reference":"registry.example/team/app"},"image":{"docker-manifest-digest":"sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"},"type":"cosign container image signature"},"optional":null}"#]].assert_eq(std::str::from_utf8(&payload).unwrap());
    assert_eq!(simple_signing::check(&payload, &message.oci()), Ok(()));
    assert!(simple_signing::check(&payload, &Digest::of(b"").oci()).is_err());
    // The example of the specification of DSSE.
    let encoded = dsse::pre_authentication_encoding("http://example.com/HelloWorld", b"hello world");
    assert_eq!(encoded, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
}

/// One flipped bit anywhere in a bundle is refused, or changes neither what is signed nor by whom.
#[test]
fn one_flipped_bit_of_a_bundle_is_refused() {
    let public = key().public_key();
    let good = Bundle::of_message(&Digest::of(BLOB), &key());
    let json = good.to_json();
    let hint = public.hint();
    let at = json.windows(hint.len()).position(|part| part == hint.as_bytes()).unwrap();
    for place in (0..json.len()).filter(|place| !(at..at + hint.len()).contains(place)) {
        for bit in 0..8 {
            let mut changed = json.clone();
            changed[place] ^= 1 << bit;
            let verified = Bundle::from_json(&changed).and_then(|bundle| bundle.verify_message(BLOB, &public));
            // A name of JSON that is unknown then leaves out what is optional: the hint.
            let is_same = Bundle::from_json(&changed).is_ok_and(|bundle| bundle == good.without_hint());
            assert!(verified.is_err() || is_same, "{place}.{bit}: {}", String::from_utf8_lossy(&changed));
        }
    }
}
