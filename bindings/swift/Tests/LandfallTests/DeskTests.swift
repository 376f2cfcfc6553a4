import Foundation
import Landfall
import XCTest

/// Search, references in live queries, what live queries say of themselves, and local types.
final class DeskTests: XCTestCase {
    func testASearchFindsWordsTheBestFirstAndTellsWhatChanges() async throws {
        let desk = try await World.shared.get().desk("sam")
        try await desk.write { tx in
            tx.note.upsert("n-1") {
                $0.title = "Green tea"
                $0.body.splice(at: 0, delete: 0, insert: "brew it for two minutes")
            }
            tx.note.upsert("n-2") { $0.title = "Coffee" }
            tx.note.upsert("n-3") {
                $0.title = "Shopping"
                $0.body.splice(at: 0, delete: 0, insert: "tea, bread")
            }
        }
        let found = try await desk.note.search("tea")
        XCTAssertEqual(Set(found.map(\.row.id)), ["n-1", "n-3"])
        XCTAssertEqual(found.map(\.rank), found.map(\.rank).sorted(), "the best first")
        XCTAssertEqual(Set(found.map(\.snippet)), ["Green [tea]", "[tea], bread"])
        var ids = try await desk.note.search("tea") { search, note in search.within(note.title) }.map(\.row.id)
        XCTAssertEqual(ids, ["n-1"])
        ids = try await desk.note.search("bre").map(\.row.id)
        XCTAssertEqual(ids, [])
        ids = try await desk.note.search("bre") { search, _ in search.asTyped() }.map(\.row.id)
        XCTAssertEqual(Set(ids), ["n-1", "n-3"])
        ids = try await desk.note.search("tea NOT green") { search, _ in search.raw() }.map(\.row.id)
        XCTAssertEqual(ids, ["n-3"])
        ids = try await desk.note.search("tea") { $0.filter($1.title == "Shopping") }.map(\.row.id)
        XCTAssertEqual(ids, ["n-3"])
        ids = try await desk.note.search("tea") { search, _ in search.limit(1) }.map(\.row.id)
        XCTAssertEqual(ids.count, 1)
        let marked = try await desk.note.search("coffee") { search, _ in
            search.marks("<b>", "</b>")
            search.highlight()
        }
        XCTAssertEqual(marked.map { $0.marked["title"] }, ["<b>Coffee</b>"])
        // What people type is never a fault.
        ids = try await desk.note.search("\"tea AND ((").map(\.row.id)
        XCTAssertEqual(ids, [])
        await faulty("LF2102") { try await desk.note.search("AND") { search, _ in search.raw() } }
        await faulty("LF2120") { try await desk.sdk.search(Search(kind: "Board", text: "tea", syntax: .words)) }

        let seen = Latest<[String]>()
        let watching = Task {
            for try await found in desk.note.observeSearch("tea") { seen.set(found.map(\.row.id)) }
        }
        try await until { seen.get()?.count == 2 }
        try await desk.note.upsert("n-4") { $0.title = "Tea, tea and tea" }
        try await until { seen.get()?.count == 3 }
        try await desk.note.delete("n-3")
        try await until { Set(seen.get() ?? []) == ["n-1", "n-4"] }
        watching.cancel()
        try await watching.value
        try await desk.close()
    }

    func testRowsShowColumnsOfTheRowsThatTheyReferToAndFollowThem() async throws {
        let desk = try await World.shared.get().desk("tia")
        try await desk.write { tx in
            tx.board.upsert("b-1") { $0.name = "Kitchen" }
            tx.note.upsert("n-1") {
                $0.title = "Tea"
                $0.board = "b-1"
            }
            tx.note.upsert("n-2") { $0.title = "Nowhere" }
        }
        let seen = Latest<[[String?]]>()
        let watching = Task {
            for try await rows in desk.note.observeIncluding({ window, note in
                window.include(note.board, Board.columns.name)
                window.ascending(note.id)
            }) { seen.set(try rows.map { [$0.row.title, try $0[Note.columns.board, Board.columns.name]] }) }
        }
        try await until { seen.get() == [["Tea", "Kitchen"], ["Nowhere", nil]] }
        try await desk.board.update("b-1") { $0.name = "Garden" }
        try await until { seen.get() == [["Tea", "Garden"], ["Nowhere", nil]] }
        watching.cancel()
        try await watching.value
        await faulty("LF2103") {
            let wrong = desk.note.observeIncluding { window, note in window.include(note.title, Board.columns.name) }
            for try await _ in wrong {}
        }
        try await desk.close()
    }

    func testALiveQuerySaysHowItWorksAndWhatItHasDone() async throws {
        let desk = try await World.shared.get().desk("una")
        try await desk.note.upsert("n-1") { $0.title = "Tea" }
        let last = Latest<Update<Note>>()
        let watching = Task {
            for try await update in desk.note.observeChanges({ window, note in
                window.descending(note.title)
                window.limit(2)
            }) { last.set(update) }
        }
        try await until { last.get()?.rows.count == 1 }
        let first = try await XCTUnwrap(last.get()).explain()
        XCTAssertEqual(first.incremental, true)
        XCTAssertEqual(first.tables, ["Note"])
        XCTAssertEqual(first.rows, 1)
        XCTAssertTrue(!first.why.isEmpty && !first.steps.isEmpty, "\(first)")
        try await desk.note.upsert("n-2") { $0.title = "Water" }
        try await until { last.get()?.rows.count == 2 }
        let then = try await XCTUnwrap(last.get()).explain()
        // Followed by the keys of the rows that changed: the statement was not run again.
        XCTAssertEqual(then.runs, first.runs)
        XCTAssertEqual(then.refreshes, first.refreshes + 1)
        XCTAssertGreaterThan(then.lookups, first.lookups)
        watching.cancel()
        try await watching.value
        await fails("LF2104") { try await XCTUnwrap(last.get()).explain() }
        var updates = desk.sdk.observeSearch(Search(kind: "Note", text: "tea", syntax: .words)) { $0 }
            .makeAsyncIterator()
        let anew = try await updates.next()?.explain()
        XCTAssertEqual(anew?.incremental, false)
        try await desk.close()
    }

    func testLocalRowsAreWrittenReadAndSearchedLikeOthersAndNeverSent() async throws {
        let desk = try await World.shared.get().desk("vic", synced: true)
        let receipt = try await desk.draft.upsert("d-1", title: "To the editor") {
            $0.words = 3
            $0.labels.add("letter")
        }
        XCTAssertEqual(receipt.dots, [])
        XCTAssertEqual(receipt.entities.map(\.kind), ["Draft"])
        try await desk.draft.update("d-1") { $0.words = 4 }
        let draft = try await desk.draft.get("d-1")
        XCTAssertEqual(draft, Draft(id: "d-1", title: "To the editor", words: 4, labels: ["letter"]))
        let long = try await desk.draft.observe { window, draft in window.filter(draft.words > 3) }.first { _ in true }
        XCTAssertEqual(long?.map(\.id), ["d-1"])
        let found = try await desk.draft.search("editor")
        XCTAssertEqual(found.map(\.row.id), ["d-1"])
        try await desk.sdk.settle(.seconds(20))
        let outbox = try await desk.sdk.outboxStatus()
        XCTAssertEqual(outbox.pending, 0)
        try await desk.draft.delete("d-1")
        let gone = try await desk.draft.get("d-1")
        XCTAssertNil(gone)
        try await desk.close()
    }

    func testWhatIsSharedIsReadByEveryAccountAndWrittenByNone() async throws {
        let rows = #"{"id":"t-1","name":"Sencha","minutes":2}"# + "\n" + #"{"id":"t-2","name":"Gunpowder"}"#
        let regions = try World.shared.get().publishing(Desk.schema, "Tea", rows)
        let folder = regions.file("accounts")
        let accounts = try await Accounts.open(
            AccountsOptions(folder: folder, schema: Desk.schema, regions: regions.regions))
        let someone = Account(tenant: "", subject: "ann")
        let ann = Desk(try await accounts.signIn(someone) { _ in try regions.token("ann") })
        for scope in ["teas", "desk"] { try await ann.sdk.subscribe(scope) }
        try await ann.sdk.settle(.seconds(20))
        let tea = try await ann.tea.get("t-1")
        XCTAssertEqual(tea, Tea(id: "t-1", name: "Sencha", minutes: 2))
        let all = try await ann.tea.observe { window, tea in window.ascending(tea.name) }.first { _ in true }
        XCTAssertEqual(all?.map(\.id), ["t-2", "t-1"])
        let found = try await ann.tea.search("sencha")
        XCTAssertEqual(found.map(\.row.id), ["t-1"])

        // The compiler knows no `ann.tea.upsert`; what writes all the same is refused.
        do {
            _ = try await ann.sdk.write { Writes<Tea>($0).upsert("t-3", name: "Mine") }
            XCTFail("it was written")
        } catch let error as LandfallError {
            XCTAssertEqual(error.code, "LF2121")
        }

        // It was downloaded once: the next account has it, and never saw a region.
        _ = try await accounts.signOut(ann.sdk, .keep)
        let offline = try await Accounts.open(
            AccountsOptions(folder: folder, schema: Desk.schema, regions: regions.regions, startOffline: true))
        let bob = Desk(try await offline.signIn(Account(tenant: "", subject: "bob")) { _ in "" })
        let theirs = try await bob.tea.get("t-1")
        XCTAssertEqual(theirs?.name, "Sencha")
        try await bob.close()
    }
}

/// What was asked is refused with this code, and typed.
private func faulty<T>(
    _ code: String, _ work: () async throws -> T, file: StaticString = #filePath, line: UInt = #line
) async {
    do {
        _ = try await work()
        XCTFail("nothing failed", file: file, line: line)
    } catch let LandfallError.faultyQuery(its, _) {
        XCTAssertEqual(its, code, file: file, line: line)
    } catch {
        XCTFail("another error: \(error)", file: file, line: line)
    }
}
