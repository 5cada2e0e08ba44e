// The words and sentence frames of the demo language. Frames: "{class}" is a word of that class, {A} and {B}
// two people, {S} one of them who acts, {O} the other.
#pragma once

#include <array>
#include <string_view>

namespace saccade::language {

struct WordClass {
  std::string_view name;
  std::string_view words;  // separated by spaces
};

inline constexpr std::array word_classes{
    WordClass{
        "name",
        "Mary John Tom Anna Peter Lucy David Emma Paul Sarah James Alice Mark Julia Simon Clara Henry Rose "
        "Martin Laura George Helen Oscar Nora Victor Ella Robert Ruth Daniel Kate Samuel Grace"},
    WordClass{
        "person",
        "king queen farmer doctor teacher sailor baker child friend brother sister mother father girl boy "
        "man woman painter soldier student nurse driver hunter singer"},
    WordClass{
        "animal",
        "cat dog horse bird fish mouse rabbit fox wolf bear lion tiger cow sheep goat duck snake frog owl "
        "monkey elephant bee spider whale"},
    WordClass{
        "place",
        "store park school river garden market forest house beach station kitchen library church bridge hill "
        "island castle office harbor mountain village city farm museum field lake valley street"},
    WordClass{
        "thing",
        "book ball key drink letter apple ring hat cup box lamp flower picture map coin knife bread cake "
        "basket clock bell stone bottle gift chair table door window mirror rope ladder candle blanket "
        "pencil "
        "shoe coat ticket paper boat wheel tree fire garage moon sun star rain snow wind cloud song story "
        "dream piano guitar drum phone camera computer train car sword crown feather button needle spoon"},
    WordClass{
        "adjective",
        "old young small big red blue green yellow white black brown happy sad quiet loud warm cold dark "
        "bright "
        "new little long short tall heavy light strong weak rich poor clean dirty soft hard sweet broken "
        "golden silver wooden strange gentle brave clever lazy hungry tired angry lonely secret empty"},
    WordClass{
        "did",
        "found lost saw wanted carried bought sold painted opened closed dropped washed kept broke moved "
        "liked loved hated followed watched touched pushed pulled cleaned hid stole threw caught forgot "
        "remembered"},
    WordClass{"went", "walked ran drove sailed traveled hurried jumped climbed returned"},
    WordClass{"rested", "slept waited sat stood lived worked played danced laughed cried sang"},
    WordClass{"gave", "gave handed passed sent showed offered brought"},
    WordClass{"where", "near behind under inside above beside across through from"},
    WordClass{"how", "slowly quickly again together alone quietly today yesterday often never always soon"},
    WordClass{"number", "one two three four five six seven eight nine ten"},
    WordClass{"begin", "When After While Because"},
    WordClass{"then", "Then Later Suddenly Finally Once"},
    WordClass{
        "other",
        "the a and to in of on with was is had were went for at it he she they that this who but not said up "
        "out had have be are you we I my her his their there here very some every no The She He They It "
        "There A Every In On At One We You My This"},
};

inline constexpr std::array story_frames{
    std::string_view{" The {adjective} {animal} {did} the {thing}."},
    std::string_view{" The {adjective} {person} {did} a {adjective} {thing} {where} the {place}."},
    std::string_view{" {A} {did} the {adjective} {thing}."},
    std::string_view{" {A} and {B} {went} to the {place}."},
    std::string_view{" {A} and {B} {rested} {where} the {place}."},
    std::string_view{" {then}, {A} {did} the {adjective} {thing} and {rested} {how}."},
    std::string_view{" The {animal} {rested} {how} {where} the {adjective} {thing}."},
    std::string_view{" At {number} {A} {went} to the {place}."},
    std::string_view{" Every {animal} in the {place} {did} the {person}."},
    std::string_view{" {A} said that the {thing} was {adjective} and {adjective}."},
    std::string_view{" There was a {adjective} {thing} in the {place}."},
    std::string_view{" {then}, the {person} {went} {how} to the {adjective} {place} with a {thing}."},
    std::string_view{" The {person} who {did} the {thing} was very {adjective}."},
    std::string_view{" {A} is not {adjective}, but {B} is."},
    std::string_view{" She {did} the {thing} and he {did} the {thing}."},
    std::string_view{" They {rested} at the {place} with their {adjective} {animal}."},
};

inline constexpr std::array giving_frames{
    std::string_view{" {begin} {A} and {B} went to the {place}, {S} {gave} a {thing} to {O}."},
    std::string_view{" {begin} {A} and {B} {rested} {where} the {place}, {S} {gave} the {thing} to {O}."},
    std::string_view{" {then}, {A} and {B} had a {adjective} {thing}. {S} {gave} it to {O}."},
    std::string_view{" {A} and {B} {went} to the {place}. {S} {gave} a {adjective} {thing} to {O}."},
};

}  // namespace saccade::language
