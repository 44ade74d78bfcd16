//! Sizes for tables: VMMap's `K`, and three signs that differ: `?` not known,
//! `-` does not apply, `0` none.

pub(crate) use crate::size::{count, grouped};

/// Above how many KiB a size is written in MiB, and so on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale(u64);

impl Scale {
    /// From the most exact scale to the shortest.
    pub(crate) const ALL: [Scale; 4] =
        [Scale(10_000_000), Scale(1_000_000), Scale(100_000), Scale(10_000)];

    /// `1,999,708 K`, `131,072 G`; `0` for none. Rounded up, so that what is
    /// there never reads as nothing.
    pub(crate) fn size(self, bytes: u64) -> String {
        if bytes == 0 {
            return "0".into();
        }
        let mut value = bytes.div_ceil(1024);
        let mut unit = 'K';
        for next in ['M', 'G', 'T', 'P'] {
            if value < self.0 {
                break;
            }
            (value, unit) = (value.div_ceil(1024), next);
        }
        format!("{} {unit}", grouped(value))
    }
}

/// A size in the most exact scale.
pub(crate) fn size(bytes: u64) -> String {
    Scale::ALL[0].size(bytes)
}

/// A size, `?` where it is not known.
pub(crate) fn size_or_unknown(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "?".into(), size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(size(0), "0");
        assert_eq!(size(1), "1 K");
        assert_eq!(size(4096), "4 K");
        assert_eq!(size(0x7fff_0000), "2,097,088 K");
        assert_eq!(size(1 << 47), "131,072 G");
        assert_eq!(size(u64::MAX), "16,384 P");
    }
}
