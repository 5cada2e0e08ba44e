// The syntax tree of a template. Private header.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/tokens/jinja/operators.h"
#include "core/tokens/jinja/value.h"

namespace saccade::jinja {

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

enum class ExprKind {
  constant,     // value
  name,         // name
  list,         // parts
  tuple,        // parts
  dict,         // parts: key, value, key, value, ...
  attribute,    // parts[0].name
  item,         // parts[0][parts[1]]
  slice,        // parts[0][parts[1]:parts[2]:parts[3]]; null where a bound is missing
  call,         // parts[0](call)
  filter,       // parts[0]|name(call); parts[0] is null for the body of a block
  test,         // parts[0] is name(call)
  negation,     // not parts[0]
  minus,        // -parts[0]
  plus,         // +parts[0]
  both,         // parts[0] and parts[1]
  either,       // parts[0] or parts[1]
  arithmetic,   // parts[0] operation parts[1]
  comparison,   // parts[0] comparisons[0] parts[1] comparisons[1] parts[2] ...
  concatenate,  // parts[0] ~ parts[1] ~ ...
  conditional,  // parts[1] if parts[0] else parts[2], which may be null
};

struct CallArguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr list, dict;  // *list, **dict, or null
};

struct Expr {
  ExprKind kind = ExprKind::constant;
  int line = 1;
  int depth = 1;  // levels of the tree below and with this
  std::string name;
  Value value;
  std::vector<ExprPtr> parts;
  std::vector<Comparison> comparisons;
  Binary operation = Binary::add;
  CallArguments call;
};

// What is assigned to: a name, name.attribute of a namespace, or several of them.
struct Target {
  std::string name, attribute;
  std::vector<Target> parts;  // of a tuple, which has no name
  bool is_tuple = false;
  int line = 1;
};

struct Parameter {
  std::string name;
  ExprPtr fallback;  // null: none
};

struct Statement;
using Block = std::vector<std::unique_ptr<Statement>>;

enum class StatementKind {
  text,          // text
  print,         // {{ exprs[0] }}
  branch,        // blocks[i] under exprs[i]; one block more for else
  loop,          // for target in exprs[0] if exprs[1] (or null): blocks[0], else blocks[1]
  assign,        // set target = exprs[0]
  capture,       // set target: blocks[0], through the filter exprs[0] (or null)
  macro,         // macro text(parameters): blocks[0]
  call,          // call (parameters) exprs[0]: blocks[0]
  filter,        // filter exprs[0]: blocks[0]
  with,          // with targets[i] = exprs[i]: blocks[0]
  generation,    // blocks[0], in a scope of its own
  leave_loop,    // break
  next_in_loop,  // continue
};

struct Statement {
  StatementKind kind = StatementKind::text;
  int line = 1;
  std::string text;
  std::vector<ExprPtr> exprs;
  std::vector<Block> blocks;
  std::vector<Target> targets;
  std::vector<Parameter> parameters;
  // Of a macro or call: whether the body asks for what no parameter takes.
  bool uses_caller = false, uses_named = false, uses_rest = false;
};

}  // namespace saccade::jinja
