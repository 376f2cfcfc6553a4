// swift-tools-version: 6.0
import PackageDescription

// The package is whole only with the generated sources and the native library beside these files:
// `run-tests` puts them together on Linux; README.md says how it should be done for Apple's platforms.

/// The C interface of the native library: what UniFFI's Swift calls.
#if os(Linux)
let native = Target.systemLibrary(name: "LandfallFFIFFI")
#else
let native = Target.binaryTarget(name: "LandfallFFIFFI", path: "LandfallFFIFFI.xcframework")
#endif

/// The world for tests of apps is in the library only if it was built with the feature `testkit`.
let hasTestkit = Context.environment["LANDFALL_TESTKIT"] == "1"

let shipped: [Target] = [
    native,
    // Written by UniFFI: the library's calls and records. Swift 6.0 fails on it in its own mode.
    .target(
        name: "LandfallFFI", dependencies: ["LandfallFFIFFI"],
        swiftSettings: [.swiftLanguageMode(.v5)],
        linkerSettings: [.linkedLibrary("landfall_ffi", .when(platforms: [.linux]))]),
    // Written by hand: what an app uses.
    .target(name: "Landfall", dependencies: ["LandfallFFI"]),
]

let testing: [Target] = [
    .target(name: "LandfallTestkit", dependencies: ["Landfall"]),
    .testTarget(name: "LandfallTests", dependencies: ["Landfall", "LandfallTestkit"]),
]

let package = Package(
    name: "landfall",
    platforms: [.iOS(.v16), .macOS(.v13), .tvOS(.v16), .watchOS(.v9), .visionOS(.v1)],
    products: [.library(name: "Landfall", targets: ["Landfall"])]
        + (hasTestkit ? [.library(name: "LandfallTestkit", targets: ["LandfallTestkit"])] : []),
    targets: shipped + (hasTestkit ? testing : [])
)
