//! libcmm's label bits.
//!
//! | bit | libcmm | here |
//! | --- | --- | --- |
//! | 0x4 | ONDEMAND | `interactive` |
//! | 0x8 | BACKGROUND | `background` |
//! | 0x10 | SMALL | `small` |
//! | 0x20 | LARGE | `large` |
//! | 0x10000 | WIFI_ONLY | `require=wifi` |
//! | 0x20000 | THREEG_ONLY | `require=cellular` |
//! | 0x100000 | FALLBACK | the two above become `prefer` |
//!
//! All of them with `cost=ignore`, for libcmm knew no cost. Where it was given both of a pair it
//! asked for small before large and for on-demand before background, and size before urgency;
//! the mapping keeps that.

use super::{Label, LabelError, Prop};

const ONDEMAND: u32 = 0x4;
const BACKGROUND: u32 = 0x8;
const SMALL: u32 = 0x10;
const LARGE: u32 = 0x20;
const WIFI_ONLY: u32 = 0x1_0000;
const THREEG_ONLY: u32 = 0x2_0000;
const FALLBACK: u32 = 0x10_0000;

const ALL: u32 = ONDEMAND | BACKGROUND | SMALL | LARGE | WIFI_ONLY | THREEG_ONLY | FALLBACK;

impl Label {
    /// The label that chooses the network libcmm chose for these bits.
    ///
    /// ```
    /// use mancom::Label;
    /// assert_eq!(Label::from_libcmm(0x10008)?, "background require=wifi cost=ignore".parse()?);
    /// # Ok::<(), mancom::LabelError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`LabelError::ContradictoryBits`] for WIFI_ONLY (0x10000) with THREEG_ONLY (0x20000),
    /// [`LabelError::UnknownBits`] for bits that libcmm does not define.
    pub const fn from_libcmm(bits: u32) -> Result<Self, LabelError> {
        if bits & !ALL != 0 {
            return Err(LabelError::UnknownBits(bits & !ALL));
        }
        let mut label = Label::new().ignore_cost();
        if bits & ONDEMAND != 0 {
            label = label.interactive();
        } else if bits & BACKGROUND != 0 {
            label = label.background();
        }
        if bits & SMALL != 0 {
            label = label.small();
        } else if bits & LARGE != 0 {
            label = label.large();
        }
        let kind = match (bits & WIFI_ONLY != 0, bits & THREEG_ONLY != 0) {
            (false, false) => return Ok(label),
            (true, true) => return Err(LabelError::ContradictoryBits),
            (true, false) => Prop::Wifi,
            (false, true) => Prop::Cellular,
        };
        Ok(if bits & FALLBACK != 0 {
            label.prefer(kind)
        } else {
            label.require(kind)
        })
    }
}
