# SPDX-License-Identifier: LGPL-2.1-or-later

# Say which links of POD files lead nowhere: the page must be one of FILES,
# whose names are NAME.SECTION.pod, or be in the list EXTERNAL; the section must
# be a heading of that page.
#   perl links.pl EXTERNAL FILE...

use strict;
use warnings;

package Links;

use parent 'Pod::Simple';

sub _handle_element_start
{
  my ($self, $name, $attrs) = @_;

  if ($name =~ /^head[1-4]$/) {
    $self->{heading} = '';
  }
  elsif ($name =~ /^(?:Para|Verbatim|item-text|item-bullet|item-number)$/) {
    $self->{line} = $attrs->{start_line};
  }
  elsif ($name eq 'L') {
    push @{$self->{links}},
      { type => $attrs->{type}, to => $attrs->{to} // '',
        section => $attrs->{section} // '', line => $self->{line},
        raw => $attrs->{raw} };
  }
}

sub _handle_text
{
  my ($self, $text) = @_;

  $self->{heading} .= $text if defined $self->{heading};
}

sub _handle_element_end
{
  my ($self, $name) = @_;

  $self->{headings}{delete $self->{heading}} = 1 if $name =~ /^head[1-4]$/;
}

package main;

my ($list, @files) = @ARGV;
my (%external, %pages, $problems);

open my $in, '<', $list or die "$list: $!\n";
while (<$in>) {
  $external{$1} = 0 if /^(\S+\(\d\w*\))$/;
}
close $in;

for my $file (@files) {
  my ($name, $section) = $file =~ m{([^/]+)\.(\d)\.pod$}
    or die "$file: not NAME.SECTION.pod\n";
  my $parser = Links->new;

  $parser->{$_} = [] for qw(links);
  $parser->{headings} = {};
  $parser->parse_file ($file);
  $pages{"$name($section)"} = $parser;
}

sub problem
{
  my ($page, $link, $what) = @_;

  print "$page:$link->{line}: L<$link->{raw}>: $what\n";
  $problems++;
}

for my $name (sort keys %pages) {
  my $page = $pages{$name};

  for my $link (@{$page->{links}}) {
    my $to = $link->{to} eq '' ? $name : "$link->{to}";

    next if $link->{type} eq 'url';
    if (exists $external{$to}) {
      $external{$to}++;
      problem ($name, $link, 'a section of a page of others')
        if $link->{section} ne '';
    }
    elsif (!$pages{$to}) {
      problem ($name, $link, "there is no page $to");
    }
    elsif ($link->{section} ne '' &&
           !$pages{$to}{headings}{$link->{section}}) {
      problem ($name, $link, 'there is no such section');
    }
    elsif ($to eq $name && $link->{section} eq '') {
      problem ($name, $link, 'a link to its own page');
    }
  }
}
exit ($problems ? 1 : 0);
