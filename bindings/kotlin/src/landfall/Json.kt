package landfall

/**
 * The JSON in which columns hold value objects, lists and sets.
 *
 * A tree is made of null, Boolean, Long, Double, String, List and Map. What the device writes is
 * always well-formed, so a fault here is a bug and no input error. Small on purpose: the SDK
 * brings no JSON library into an app.
 */
internal object Json {
    fun read(text: String): Any? = Reader(text).whole()

    fun write(tree: Any?): String = buildString { write(this, tree) }

    private fun write(out: StringBuilder, tree: Any?) {
        when (tree) {
            null -> out.append("null")
            is Boolean, is Long, is Int -> out.append(tree)
            is Double -> if (tree.isFinite()) out.append(tree) else out.append("null")
            is String -> quote(out, tree)
            is List<*> -> {
                out.append('[')
                tree.forEachIndexed { at, item ->
                    if (at > 0) out.append(',')
                    write(out, item)
                }
                out.append(']')
            }
            is Map<*, *> -> {
                out.append('{')
                tree.entries.forEachIndexed { at, (name, member) ->
                    if (at > 0) out.append(',')
                    quote(out, name as String)
                    out.append(':')
                    write(out, member)
                }
                out.append('}')
            }
            else -> error("no JSON is made of a ${tree::class}")
        }
    }

    private fun quote(out: StringBuilder, text: String) {
        out.append('"')
        for (c in text) {
            when {
                c == '"' || c == '\\' -> out.append('\\').append(c)
                c < ' ' -> out.append("\\u").append(c.code.toString(16).padStart(4, '0'))
                else -> out.append(c)
            }
        }
        out.append('"')
    }

    private class Reader(private val text: String) {
        private var at = 0

        fun whole(): Any? {
            val tree = value()
            skip()
            check(at == text.length) { "something follows the JSON" }
            return tree
        }

        private fun value(): Any? {
            skip()
            return when (text[at]) {
                '{' -> members()
                '[' -> items()
                '"' -> string()
                't' -> word("true", true)
                'f' -> word("false", false)
                'n' -> word("null", null)
                else -> number()
            }
        }

        private fun members(): Map<String, Any?> {
            val members = LinkedHashMap<String, Any?>()
            separated('}') {
                skip()
                val name = string()
                expect(':')
                members[name] = value()
            }
            return members
        }

        private fun items(): List<Any?> {
            val items = ArrayList<Any?>()
            separated(']') { items.add(value()) }
            return items
        }

        private inline fun separated(end: Char, one: () -> Unit) {
            at++
            skip()
            if (text[at] == end) {
                at++
                return
            }
            while (true) {
                one()
                skip()
                val next = text[at++]
                if (next == end) return
                check(next == ',') { "JSON is cut short" }
            }
        }

        private fun string(): String {
            expect('"')
            val start = at
            while (text[at] != '"' && text[at] != '\\') at++
            if (text[at] == '"') return text.substring(start, at++)
            val out = StringBuilder(text.substring(start, at))
            while (text[at] != '"') out.append(character())
            at++
            return out.toString()
        }

        private fun character(): Char {
            val c = text[at++]
            if (c != '\\') return c
            return when (val escaped = text[at++]) {
                'n' -> '\n'
                't' -> '\t'
                'r' -> '\r'
                'b' -> '\b'
                'f' -> '\u000c'
                'u' -> text.substring(at, at + 4).toInt(16).toChar().also { at += 4 }
                else -> escaped
            }
        }

        private fun number(): Any {
            val start = at
            while (at < text.length && text[at] in "+-.0123456789eE") at++
            val digits = text.substring(start, at)
            return digits.toLongOrNull() ?: digits.toDouble()
        }

        private fun <T> word(word: String, value: T): T {
            check(text.startsWith(word, at)) { "JSON has no such word" }
            at += word.length
            return value
        }

        private fun expect(c: Char) {
            skip()
            check(text[at] == c) { "JSON lacks a $c" }
            at++
        }

        private fun skip() {
            while (at < text.length && text[at].isWhitespace()) at++
        }
    }
}
