//! Devices against the real region, frame by frame.

use super::*;
