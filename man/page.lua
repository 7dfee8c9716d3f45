-- What pandoc's man writer needs to be told, so that a page looks the same under groff and mandoc, in any font, and
-- what stands in it can be copied into a shell.

-- The width of the text at 80 columns, and the blanks between two columns of a table.
local TEXT, GAP = 70, 3

-- Characters that roff would take for its own, or for typographic ones. A hyphen in what is literal is a minus, which
-- can be copied into a shell.
local ESCAPES = {
  ["\\"] = "\\e", ["'"] = "\\(aq", ["`"] = "\\(ga", ["^"] = "\\(ha", ["~"] = "\\(ti",
}

local function escape(text)
  return (text:gsub("[\\'`^~]", ESCAPES):gsub("^%.", "\\&."))
end

local function escape_literal(text)
  return (escape(text):gsub("%-", "\\-"))
end

-- What is literal is bold: most terminals have no other font for it.
local function literal(code)
  return pandoc.RawInline("man", "\\f[B]" .. escape_literal(code.text) .. "\\f[R]")
end

-- groff hyphenates again after an example.
local function example(block)
  local lines = {}
  for line in (block.text .. "\n"):gmatch("(.-)\n") do
    lines[#lines + 1] = escape_literal(line)
  end
  return pandoc.RawBlock("man", ".RS 4\n.EX\n\n" .. table.concat(lines, "\n") .. "\n.EE\n.nh\n.RE")
end

-- Every word is escaped here: pandoc's own way changes with its version. The dash of NAME is the one by which whatis(1)
-- knows it, and the dots of a synopsis end no sentence.
local function word(str)
  local text = str.text == "-" and "\\-" or escape(str.text)
  return pandoc.RawInline("man", text:match("%.%.%.%]?$") and text .. "\\&" or text)
end

-- Sections are in capitals, as in every manual, but for what is literal in their titles.
local function title(header)
  local text = ""
  for _, part in ipairs(header.content) do
    local word = pandoc.utils.stringify(part)
    text = text .. (header.level == 1 and part.t ~= "Code" and word:upper() or word)
  end
  header.content = { pandoc.Str(text) }
  return header
end

-- The width of a cell, and of its longest word.
local function measure(cell)
  local text, word = pandoc.utils.stringify(cell), 1
  for part in text:gmatch("%S+") do word = math.max(word, utf8.len(part)) end
  return utf8.len(text), word
end

-- Each column gets what it needs. Those that need more than their share divide what the others leave, by need, but
-- none gets less than its longest word.
local function divide(tbl)
  local simple = pandoc.utils.to_simple_table(tbl)
  local needs, words, widths, left = {}, {}, {}, TEXT - GAP * (#simple.aligns - 1)
  for column = 1, #simple.aligns do
    needs[column], words[column] = 1, 1
    for _, row in ipairs({ simple.header, table.unpack(simple.rows) }) do
      local need, word = measure(row[column] or {})
      needs[column], words[column] = math.max(needs[column], need), math.max(words[column], word)
    end
  end
  -- Settles the columns for which `width` has an answer, given the room, the needs and the number of the others.
  local function settle(width)
    local sum, count = 0, 0
    for column, need in ipairs(needs) do
      if not widths[column] then sum, count = sum + need, count + 1 end
    end
    for column, need in ipairs(needs) do
      local columns = not widths[column] and width(column, need, sum, count)
      if columns then
        widths[column], left = columns, left - columns
        return settle(width)
      end
    end
  end
  settle(function(_, need, _, count) return need <= left / count and need end)
  settle(function(column, need, sum) return words[column] > left * need / sum and words[column] end)
  settle(function(_, need, sum) return math.floor(left * need / sum) end)
  for column, columns in ipairs(widths) do simple.widths[column] = columns / TEXT end
  for _, cell in ipairs(simple.header) do
    for _, block in ipairs(cell) do
      if block.content then block.content = { pandoc.Strong(block.content) } end
    end
  end
  return pandoc.utils.from_simple_table(simple)
end

-- What is made for roff has neither a width nor a text any more, so it comes last.
return { { Table = divide, Header = title }, { Code = literal, CodeBlock = example, Str = word } }
