# SPDX-License-Identifier: LGPL-2.1-or-later

# Print the prose of POD files, a paragraph a line: file, number of the line, a
# tab, the text.  Verbatim text is not prose.
#   perl prose.pl words FILE...       without code, names and links
#   perl prose.pl sentences FILE...   as it is read

use strict;
use warnings;

package Prose;

use parent 'Pod::Simple';

my %is_text = map { $_ => 1 }
  qw(Para head1 head2 head3 head4 item-text item-bullet item-number);

sub _handle_element_start
{
  my ($self, $name, $attrs) = @_;

  if ($is_text{$name}) {
    @$self{qw(text line)} = ('', $attrs->{start_line});
  }
  $self->{inner} = '' if $name eq 'I';
  if ($self->{only_words}) {
    $self->{hidden}++ if $name =~ /^(?:C|F|L|Verbatim)$/;
  }
  else {
    $self->{hidden}++ if $name eq 'Verbatim';
  }
}

sub _handle_text
{
  my ($self, $text) = @_;

  return if $self->{hidden};
  if (defined $self->{inner}) {
    $self->{inner} .= $text;
  }
  else {
    $self->{text} .= $text;
  }
}

sub _handle_element_end
{
  my ($self, $name) = @_;

  if ($name =~ /^(?:C|F|L|Verbatim)$/ && $self->{hidden}) {
    $self->{hidden}--;
    $self->{text} .= '_';
  }
  # A single word in italics is the name of a parameter.
  if ($name eq 'I') {
    my $inner = delete $self->{inner};

    $inner = '_' if $self->{only_words} && $inner !~ / /;
    $self->{text} .= $inner;
  }
  if ($is_text{$name}) {
    my $text = $self->{text};

    $text =~ s/\s+/ /g;
    if ($self->{only_words}) {
      $text =~ s/\S*[_%]\S*/_/g;        # names of C, and formats
      $text =~ s/'s\b//g;
    }
    print "$self->{file}:$self->{line}:\t$text\n" if $text =~ /[A-Za-z]/;
  }
}

package main;

my $mode = shift;

binmode STDOUT, ':utf8';
for my $file (@ARGV) {
  my $parser = Prose->new;

  $parser->{file} = $file;
  $parser->{only_words} = $mode eq 'words';
  $parser->{hidden} = 0;
  $parser->{text} = '';
  $parser->nix_X_codes (1);
  $parser->parse_file ($file);
}
