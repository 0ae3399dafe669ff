//! Reading of layers that others have compressed. Their media types are not believed: like containerd, it looks at the
//! first bytes.

use std::io::{self, BufRead, Read};

/// First bytes of the formats (RFC 1952, RFC 8878).
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Returns the bytes of a layer, uncompressed: gzip (of several members too), zstd, or plain.
pub fn decompressed<'a, R: BufRead + 'a>(mut layer: R) -> io::Result<Box<dyn Read + 'a>> {
    let head = layer.fill_buf()?;
    if head.starts_with(&GZIP) {
        return Ok(Box::new(flate2::bufread::MultiGzDecoder::new(layer)));
    }
    if is_zstd(head) {
        return Ok(Box::new(Frames { source: Some(layer), decoder: None }));
    }
    Ok(Box::new(layer))
}

/// Returns true for the first bytes of a zstd stream.
pub(crate) fn is_zstd(head: &[u8]) -> bool {
    head.starts_with(&ZSTD) || is_skippable(head)
}

/// Returns true for a frame of zstd that holds no data, as others put in front.
fn is_skippable(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

type Decoder<R> = ruzstd::decoding::StreamingDecoder<R, ruzstd::decoding::FrameDecoder>;

/// All frames of a zstd stream, one after the other: the decoder ends after each.
struct Frames<R: BufRead> {
    source: Option<R>,
    decoder: Option<Decoder<R>>,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(decoder) = &mut self.decoder {
                let count = decoder.read(buffer)?;
                if count > 0 || buffer.is_empty() {
                    return Ok(count);
                }
                self.source = self.decoder.take().map(Decoder::into_inner);
            }
            let Some(mut source) = self.source.take() else { return Ok(0) };
            let head = source.fill_buf()?;
            if head.is_empty() {
                return Ok(0);
            }
            if is_skippable(head) {
                let mut header = [0_u8; 8];
                source.read_exact(&mut header)?;
                let size = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
                let skipped = io::copy(&mut (&mut source).take(u64::from(size)), &mut io::sink())?;
                if skipped < u64::from(size) {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                self.source = Some(source);
                continue;
            }
            self.decoder = Some(Decoder::new(source).map_err(io::Error::other)?);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut found = Vec::new();
        decompressed(bytes)?.read_to_end(&mut found)?;
        Ok(found)
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
    }

    #[test]
    fn each_form() {
        let text: Vec<u8> = (0..300_000_u32).flat_map(|number| (number / 7).to_le_bytes()).collect();
        let mut gzip = Vec::new();
        crate::Compression::Gzip.compress(&mut text.as_slice(), &mut gzip, 2).unwrap();
        assert_eq!(read(&gzip).unwrap(), text);
        assert_eq!(read(&zstd(&text)).unwrap(), text);
        assert_eq!(read(&text).unwrap(), text);
        assert_eq!(read(b"").unwrap(), b"");
        // Several members or frames are one layer.
        assert_eq!(read(&[gzip.clone(), gzip.clone()].concat()).unwrap(), [text.clone(), text.clone()].concat());
        let skippable = [&[0x51, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        let frames = [skippable.clone(), zstd(b"one"), skippable, zstd(b""), zstd(b"two")].concat();
        assert_eq!(read(&frames).unwrap(), b"onetwo");
    }

    #[test]
    fn damaged_streams() {
        let whole = zstd(&[7; 5_000]);
        assert!(read(&whole[..whole.len() - 3]).is_err());
        assert!(read(&[0x51, 0x2a, 0x4d, 0x18, 9, 0, 0, 0]).is_err());
        assert!(read(&[0x28, 0xb5, 0x2f, 0xfd, 0xff, 0xff, 0xff]).is_err());
        assert!(read(&[0x1f, 0x8b, 8, 0]).is_err());
    }
}
