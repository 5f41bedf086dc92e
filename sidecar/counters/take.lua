-- Reserves for several callers, each all or none, in order. Asked again with the same token, it answers as before.
-- KEYS: token, counters. ARGV: lifetime of the token and of an ended window (ms), callers; for each caller: claims, and
-- (key, amount, max) of each; sums, and (key, amount, window end in s) of each.
-- A max that is no number is below zero. Answers, by comma: 0 taken, n the claim that would pass its maximum, -1 not exact, -2 no counter is under the key.
local known = redis.call('GET', KEYS[1])
if known then return known end

local position = 0
local function next_text()
  position = position + 1
  return ARGV[position]
end
local function next_number() return tonumber(next_text()) end

local held = {}
local function value(key)
  if held[key] == nil then
    local found = redis.pcall('GET', KEYS[key])
    if not found then
      held[key] = ZERO
    else
      held[key] = type(found) == 'string' and parse(found) or false
    end
  end
  return held[key]
end

local function judged(key, amount, max, index)
  local before = value(key)
  if not before then return -2 end
  local after = combined(before, amount, 1)
  if not after then return -1 end
  return (not max or exceeds(after, max)) and index or 0
end

local lifetime, slack = next_text(), next_number()
local answers, changed = {}, {}
for caller = 1, next_number() do
  local answer = 0
  for index = 1, next_number() do
    local key, amount, max = next_number(), parse(next_text()), parse(next_text())
    if answer == 0 then answer = judged(key, amount, max, index) end
  end
  for _ = 1, next_number() do
    local key, amount, ends = next_number(), parse(next_text()), next_number()
    if answer == 0 then
      held[key] = combined(held[key], amount, 1)
      changed[key] = ends
    end
  end
  answers[caller] = string.format('%.0f', answer)
end

-- A clock of Redis's that runs ahead must not end a window before the callers' clock does.
local now = tonumber(redis.call('TIME')[1])
for key, ends in pairs(changed) do
  redis.call('SET', KEYS[key], text(held[key]), 'PXAT', string.format('%.0f', math.max(ends, now) * 1000 + slack))
end
local told = table.concat(answers, ',')
redis.call('SET', KEYS[1], told, 'PX', lifetime)
return told
