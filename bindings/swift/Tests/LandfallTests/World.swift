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

    private init() throws {
        guard let landfall = ProcessInfo.processInfo.environment["LANDFALL"] else {
            throw XCTSkip("LANDFALL does not name the binary `landfall`")
        }
        self.landfall = landfall
        dir = FileManager.default.temporaryDirectory.appendingPathComponent("landfall-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: dir, withIntermediateDirectories: true)
        let regions = Process()
        regions.executableURL = URL(fileURLWithPath: landfall)
        // The regions end by their own time limit, too, if this program is killed.
        regions.arguments = [
            "dev", "--json", "--port", "0", "--no-phones", "--wan", "none", "--seconds", "600", "--dir", dir.path,
        ]
        let output = Pipe()
        regions.standardOutput = output
        _ = FileManager.default.createFile(atPath: dir.appendingPathComponent("regions.log").path, contents: nil)
        regions.standardError = try FileHandle(forWritingTo: dir.appendingPathComponent("regions.log"))
        try regions.run()
        ended.add { [dir] in
            // What is started from a task's thread inherits that it blocks SIGTERM.
            kill(regions.processIdentifier, SIGKILL)
            try? FileManager.default.removeItem(at: dir)
        }
        var line = Data()
        while let byte = try output.fileHandleForReading.read(upToCount: 1), byte != Data([10]), !byte.isEmpty {
            line.append(byte)
        }
        self.regions = try JSONDecoder().decode(Described.self, from: line).regions.map {
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

    /// A path that no other phone has.
    func file(_ user: String) -> String {
        dir.appendingPathComponent("\(user)-\(phones.next()).landfall").path
    }

    func token(_ user: String, _ scopes: String = "*") throws -> String {
        let made = Process()
        made.executableURL = URL(fileURLWithPath: landfall)
        made.arguments = ["token", "--dir", dir.path, "--subject", user, "--scope", scopes, "--audience", "*"]
        let output = Pipe()
        made.standardOutput = output
        try made.run()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        made.waitUntilExit()
        return text.trimmingCharacters(in: .whitespacesAndNewlines)
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

/// Waits for a condition.
func until(_ condition: () async throws -> Bool) async throws {
    while try await !condition() { try await Task.sleep(nanoseconds: 5_000_000) }
}
