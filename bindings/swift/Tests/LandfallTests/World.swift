import Foundation
import Landfall
import XCTest

/// Three regions on loopback, from `landfall dev`, and phones for them. All tests of a run share it.
final class World: Sendable {
    let regions: [Region]
    private let landfall: String
    private let dir: URL
    private let phones = Counter()

    /// Where `run-tests` keeps the binary; without it there is no world, and tests that need one say so.
    static let shared: Result<World, any Error> = Result { try World() }

    /// `more` are words of `landfall dev`.
    private init(_ more: [String] = []) throws {
        guard let landfall = ProcessInfo.processInfo.environment["LANDFALL"] else {
            throw XCTSkip("LANDFALL does not name the binary `landfall`")
        }
        self.landfall = landfall
        dir = FileManager.default.temporaryDirectory.appendingPathComponent("landfall-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: dir, withIntermediateDirectories: true)
        // The regions end by their own time limit, too, if this program is killed.
        let words = ["dev", "--json", "--port", "0", "--no-phones", "--wan", "none", "--seconds", "900"]
        let line = try Self.start(landfall, words + ["--dir", dir.path] + more, log: dir.appendingPathComponent("regions.log"))
        ended.add { [dir] in try? FileManager.default.removeItem(at: dir) }
        self.regions = try JSONDecoder().decode(Described.self, from: Data(line.utf8)).regions.map {
            Region(name: $0.name, url: $0.url)
        }
        XCTAssertEqual(self.regions.count, 3, "see \(dir.path)/regions.log")
    }

    private struct Described: Decodable {
        let regions: [One]

        struct One: Decodable {
            let name: String
            let url: String
        }
    }

    /// A phone of this user, with a file of its own. Reads and writes everything unless told.
    func phone(_ user: String, offline: Bool = false, scopes: String = "*") async throws -> Shop {
        try await Shop.open(path: file(user), subject: user, regions: regions, startOffline: offline) { _ in
            try self.token(user, scopes)
        }
    }

    /// A desk of this user, of another schema; it syncs with nobody unless told.
    func desk(_ user: String, synced: Bool = false) async throws -> Desk {
        try await Desk.open(path: file(user), subject: user, regions: synced ? regions : []) { _ in
            try self.token(user)
        }
    }

    /// A region that hands out a signed list, which names one of the others and not itself.
    func guide() throws -> Guide {
        let place = dir.appendingPathComponent("guide")
        try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
        func path(_ name: String) -> String { place.appendingPathComponent(name).path }
        func put(_ text: String, _ name: String) throws {
            try text.write(toFile: path(name), atomically: true, encoding: .utf8)
        }
        let named = regions[1]
        try put(#"{"version":1,"regions":[{"name":"\#(named.name)","urls":["\#(named.url)"]}]}"#, "regions.json")
        try put(
            try said("directory", "sign", path("regions.json"), "--key", path("directory.key")), "regions.jws")
        try put(Shop.schema, "schema.graphql")
        try put(
            """
            region = 9
            name = "guide"
            schema = "schema.graphql"
            data_dir = "data"
            listen = "127.0.0.1:0"
            copies = 1
            peer_key = "peer.key"
            dev_key = "\(dir.appendingPathComponent("dev.key").path)"
            directory = "regions.jws"
            """, "region.toml")
        let key = try said("directory", "key", "--key", path("directory.key"))
        let words = ["region", "--config", path("region.toml"), "--with-parent"]
        let line = try Self.start(landfall, words, log: dir.appendingPathComponent("guide.log"))
        let url = try XCTUnwrap(line.range(of: "http://"), "no region; see \(dir.path)/guide.log")
        return Guide(region: Region(name: "guide", url: String(line[url.lowerBound...])), key: key)
    }

    /// Three regions with another schema, in which these rows of a type, as NDJSON, are published.
    func publishing(_ schema: String, _ kind: String, _ rows: String) throws -> World {
        let (sdl, file) = (dir.appendingPathComponent("app.graphql"), dir.appendingPathComponent("rows.ndjson"))
        try schema.write(to: sdl, atomically: true, encoding: .utf8)
        try rows.write(to: file, atomically: true, encoding: .utf8)
        let world = try World(["--schema", sdl.path])
        _ = try world.said("import", kind, file.path, "--dir", world.dir.path)
        return world
    }

    struct Guide {
        let region: Region
        let key: String
    }

    /// A path that no other phone has.
    func file(_ user: String) -> String {
        dir.appendingPathComponent("\(user)-\(phones.next()).landfall").path
    }

    func token(_ user: String, _ scopes: String = "*") throws -> String {
        try said("token", "--dir", dir.path, "--subject", user, "--scope", scopes, "--audience", "*")
    }

    /// What the binary says when it is told this.
    private func said(_ words: String...) throws -> String {
        let made = Process()
        made.executableURL = URL(fileURLWithPath: landfall)
        made.arguments = words
        let output = Pipe()
        made.standardOutput = output
        try made.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        made.waitUntilExit()
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
    }

    /// Starts what runs until this program ends, and gives its first line.
    private static func start(_ landfall: String, _ words: [String], log: URL) throws -> String {
        let running = Process()
        running.executableURL = URL(fileURLWithPath: landfall)
        running.arguments = words
        let output = Pipe()
        running.standardOutput = output
        // A region ends when its input does.
        running.standardInput = Pipe()
        _ = FileManager.default.createFile(atPath: log.path, contents: nil)
        running.standardError = try FileHandle(forWritingTo: log)
        try running.run()
        // What is started from a task's thread inherits that it blocks SIGTERM.
        ended.add { kill(running.processIdentifier, SIGKILL) }
        var line = Data()
        while let byte = try output.fileHandleForReading.read(upToCount: 1), byte != Data([10]), !byte.isEmpty {
            line.append(byte)
        }
        return String(decoding: line, as: UTF8.self)
    }
}

/// What is to be done when the program ends.
private final class Ended: @unchecked Sendable {
    private let lock = NSLock()
    private var works: [() -> Void] = []

    func add(_ work: @escaping () -> Void) {
        lock.withLock {
            if works.isEmpty { atexit { ended.run() } }
            works.append(work)
        }
    }

    func run() {
        lock.withLock { works }.forEach { $0() }
    }
}

private let ended = Ended()

/// Counts, from several threads.
final class Counter: @unchecked Sendable {
    private let lock = NSLock()
    private var count = 0

    @discardableResult
    func next() -> Int {
        lock.withLock {
            count += 1
            return count
        }
    }

    var value: Int { lock.withLock { count } }
}

/// The work fails with this code.
func fails<T>(
    _ code: String, _ work: () async throws -> T, file: StaticString = #filePath, line: UInt = #line
) async {
    do {
        _ = try await work()
        XCTFail("nothing failed", file: file, line: line)
    } catch let error as LandfallError {
        XCTAssertEqual(error.code, code, file: file, line: line)
    } catch {
        XCTFail("another error: \(error)", file: file, line: line)
    }
}

/// Waits for a condition. A task that should bring it about may have failed, so not for ever.
func until(_ condition: () async throws -> Bool) async throws {
    let end = Date(timeIntervalSinceNow: 60)
    while try await !condition() {
        if Date() > end { throw CodecError("what was waited for has not come") }
        try await Task.sleep(nanoseconds: 5_000_000)
    }
}
