"""Given names that are common in several languages and are no everyday words, products or places of their own.

Names such as Mark, Will, Grace, Austin or Claude are left out on purpose: alone or before a capital word they mean something else
too often.
"""

_NAMES = """
Aaron Abigail Adam Adele Adrian Adriana Agnes Agnieszka Ahmed Aisha Akira Alain Alan Albert Alberto Alejandra Alejandro Alessandra
Alessandro Alessia Alex Alexander Alexandra Alexandre Alexis Alfonso Alfred Ali Alice Alicia Alison Allison Amanda Amelia Amelie Amina Amir Amit Amy
Ana Anastasia Anders Andre Andrea Andreas Andrew Andrzej Angela Angelika Angelo Anita Anja Anke Ann Anna Anne Annette Annika Anthony
Antje Antoine Anton Antonia Antonio Aoife Arjun Arnaud Arthur Ashley Astrid Audrey Aurelie Barbara Beatrice Beatriz Benjamin Benoit Bernard Bernd
Bertrand Beth Bettina Bianca Birgit Bjorn Bob Boris Brandon Brenda Brian Bridget Brigitte Bruno Bryan Camila Camille Carina Carl Carla
Carlos Carmen Carol Carole Caroline Carolyn Carsten Catherine Cathy Cecile Cecilia Celine Chantal Charlene Charles Charlie Charlotte Cheryl Chiara
Chris Christa Christian Christina Christine Christoph Christophe Christopher Cindy Claire Clara Claudia Claudio Claus Clemens Colin Corinne Craig Cristina
Cynthia Daan Dagmar Daniel Daniela Daniele Danielle Daria David Davide Deborah Debra Denis Denise Dennis Derek Diana Diane Diego Dieter Dimitri Dirk
Dmitri Dominik Dominique Donald Donna Dorothea Dorothy Douglas Duncan Dylan Edith Eduardo Edward Edwin Eileen Elena Eleonora Elisa Elisabeth
Elise Elizabeth Ella Ellen Elodie Emanuela Emil Emilia Emily Emma Emmanuel Enrico Enrique Eric Erica Erik Erika Ernst Esther Ethan Eugene Eva Evelyn
Fabian Fabio Fabrice Farid Fatima Federica Federico Felicia Felipe Felix Ferdinand Fernando Filip Fiona Florian Francesca Francesco Francisco Francois
Francoise Frank Franz Franziska Fred Frederic Frederick Frederik Friedrich Gabriel Gabriela Gabriele Gabrielle Gareth Gary Gemma Genevieve Geoffrey
George Georges Gerald Gerard Gerd Gerhard Giacomo Gianluca Gilbert Gilles Giorgio Giovanni Giulia Giuseppe Gloria Gonzalo Gordon Graham Greg Gregory
Greta Guillaume Guillermo Gunter Guido Gustav Hanna Hannah Hannes Hans Harald Harold Harriet Harry Hassan Heather Hector Heidi Heike Heinrich Heinz Helen
Helena Helene Helga Helmut Henri Henrik Henry Herbert Hermann Hilde Hiroshi Holger Horst Howard Hubert Hugh Hugo Ian Ibrahim Ignacio Igor Ilse Ines Inga
Ingeborg Ingrid Irene Irina Isaac Isabel Isabella Isabelle Ivan Ivana Jack Jacob Jacqueline Jacques Jaime Jakob Jakub James Jamie Jan Jana Jane Janet
Janice Jason Javier Jean Jeanne Jeff Jeffrey Jennifer Jens Jeremy Jerome Jerry Jesse Jessica Jill Jim Joachim Joan Joanna Joao Jochen Joe Joel Johan
Johanna Johannes John Johnny Jon Jonas Jonathan Joost Jorge Jose Josef Joseph Josephine Joshua Joyce Juan Juana Judith Judy Julia Julian Juliana Julie
Julien Juliette Julio Jurgen Justin Justine Karen Karin Karina Karl Karla Katarina Kate Katharina Katherine Kathleen Kathrin Kathryn Kathy Katja Katrin Keith
Kelly Kenneth Kerstin Kevin Kimberly Klaas Klaus Konrad Krzysztof Kurt Kyle Larry Lars Laura Lauren Laurence Laurent Lea Leah Leila Lena Leo Leon
Leonard Leonardo Leonie Leslie Liam Lidia Lieke Linda Lisa Lorena Lorenzo Lotte Louis Louise Luca Lucas Lucia Luciano Lucie Lucy Ludovic Ludwig Luigi Luis
Luisa Lukas Luke Lydia Maarten Magdalena Malcolm Manfred Manuel Manuela Marc Marcel Marcello Marco Marcos Marcus Margaret Margarita Margot Maria Marianne
Marie Mariana Marina Mario Marion Marjorie Markus Marta Martha Martin Martina Martine Mary Maryam Massimo Mathieu Mathilde Matilda Matteo Matthew
Matthias Matthieu Maureen Maurice Maximilian Megan Mehdi Mehmet Melanie Melissa Mercedes Michael Michaela Michel Michele Michelle Miguel Mikael Mike Mila
Milan Mireille Miriam Mohamed Mohammed Monica Monika Monique Moritz Muhammad Mustafa Nadia Nadine Nancy Naomi Natalia Natalie Natasha Nathalie Nathan
Neil Nicholas Nick Nicola Nicolas Nicole Niels Nikita Nils Nina Nora Norbert Norman Olaf Oleg Olga Oliver Olivia Olivier Omar Oscar Oskar Otto
Pablo Paola Paolo Pascal Patricia Patrick Paul Paula Pauline Pavel Pedro Peggy Pekka Penelope Peter Petra Philip Philipp Philippe Phillip Phyllis
Pierre Pieter Pietro Pilar Piotr Priya Rachel Rafael Rainer Rajesh Ralf Ralph Ramona Raphael Raul Raymond Rebecca Regina Reinhard Renate Rene Ricardo
Riccardo Richard Rita Robert Roberta Roberto Robin Rodrigo Roger Roland Rolf Roman Ronald Rosario Rosemary Roxanne Ruben Rudolf Rupert Russell Ruth Ryan
Sabine Sabrina Salvatore Samantha Samir Samuel Sandra Sandrine Sanjay Sara Sarah Sascha Scott Sean Sebastian Sebastien Sergei Sergio Sharon Sheila
Shirley Silke Silvia Simon Simona Simone Siobhan Sofia Sofie Sonja Sophia Sophie Stefan Stefania Stefanie Stefano Stella Stephan Stephane Stephanie
Stephen Steve Steven Stuart Sunil Susan Susana Susanne Suzanne Sven Svetlana Sylvia Sylvie Tamara Tania Tanja Tatiana Teresa Terry Theo Theodore Theresa
Thierry Thomas Thorsten Tim Timothy Tina Tobias Todd Tom Tomas Tomasz Tommaso Toni Tony Torsten Tracy Ulrich Ulrike Urs Ursula Ute Uwe Valentina
Valeria Valerie Vanessa Vera Veronica Veronique Victor Viktor Vincent Vincenzo Virginie Vittoria Vladimir Walter Waltraud Wanda Wayne Wendy Werner Wilhelm
Willem William Wolfgang Xavier Yannick Yasmin Yolanda Youssef Yves Yvette Yvonne Zoe Zofia Zuzanna
Nigel Joanne Chloe Damian Tyler Shaun Claudine Rodolfo Sebastiano Annamaria Martyn Gillian Hilary Joseph Clive Trevor Louisa Hazel
Andrés André Ángel Anaïs Aurélie Benoît Björn Cédric Cécile Céline Chloé Élodie Émilie Éric Étienne Fabián François Françoise Frédéric Gaëlle Geneviève
Gérard Germán Günter Günther Hélène Inés Iñaki Jérôme Jürgen Jörg João Joaquín José Léa Léon Lucía Luís María Mathéo Mónica Noël Óscar Raúl René Rubén
Sébastien Sofía Stéphane Stéphanie Sören Thérèse Tomás Valérie Verónica Víctor Véronique Zoé Élisabeth Asunción Rémy Théodore Adrián Álvaro Agustín Jesús Martín Nicolás Sebastián
"""

GIVEN_NAMES = frozenset(_NAMES.split())
"""Given names as they are written, with a capital letter."""
